// Names beside points: each at the nearest place where it covers neither a name nor a point.
const OFFSETS = [];
for (let rise = 0; rise <= 66; rise += 11) {
  for (const dy of rise ? [rise, -rise] : [0]) for (const dx of [8, -8]) OFFSETS.push([dx, dy]);
}

function placeLabels(points, box) {
  const taken = points.map(({ x, y }) => ({ x0: x - 4, x1: x + 4, y0: y - 4, y1: y + 4 }));
  const placed = [];
  for (const point of points) {
    const width = textWidth(point.text);
    for (const [dx, dy] of OFFSETS) {
      const x0 = dx > 0 ? point.x + dx : point.x + dx - width;
      const area = { x0, x1: x0 + width, y0: point.y + dy - 7, y1: point.y + dy + 7 };
      const inside = area.x0 >= box.x0 && area.x1 <= box.x1 && area.y0 >= box.y0 && area.y1 <= box.y1;
      if (inside && !taken.some((other) => overlaps(area, other))) {
        taken.push(area);
        placed.push({ ...point, dx, dy, anchor: dx > 0 ? "start" : "end" });
        break;
      }
    }
  }
  return placed;
}

function overlaps(a, b) {
  return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}
