// A frame with axes; scales and ticks are d3's.
const CHARACTER = document.createElement("canvas").getContext("2d");

function textWidth(text, size = 11.5) {
  CHARACTER.font = `${size}px system-ui, sans-serif`;
  return CHARACTER.measureText(text).width;
}

function frame({ width, height, x, y, xTitle, yTitle, label, left = 46, right = 14, top = 12, bottom = 40, ticks = 8, whole = false }) {
  x.range([left, width - right]);
  y.range([height - bottom, top]);
  const columns = Math.max(1, Math.min(ticks, Math.floor((width - left - right) / 55)));
  const rows = Math.max(2, Math.floor((height - top - bottom) / 42));
  const xFormat = whole ? String : x.tickFormat(columns);
  const yFormat = y.tickFormat(rows);
  const axis = s("g", { class: "axis" });
  for (const tick of x.ticks(columns).filter((one) => !whole || Number.isInteger(one))) {
    axis.append(
      s("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }),
      s("text", { x: x(tick), y: height - bottom + 16, "text-anchor": "middle" }, xFormat(tick)),
    );
  }
  for (const tick of y.ticks(rows)) {
    axis.append(
      s("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      s("text", { x: left - 7, y: y(tick), dy: "0.34em", "text-anchor": "end" }, yFormat(tick)),
    );
  }
  axis.append(
    s("text", { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle" }, xTitle),
    s("text", { transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, yTitle),
  );
  return s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label }, axis);
}

function extent(values, margin) {
  const [low, high] = d3.extent(values);
  const room = (high - low || Math.abs(high) || 1) * margin;
  return [low - room, high + room];
}
