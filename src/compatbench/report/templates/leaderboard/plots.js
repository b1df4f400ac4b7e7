// The plots are drawn beforehand; here they show the rows that the reader chose, and tell the numbers of a point.
const MOST_CURVES = 8;

function drawPlots() {
  const plots = part(`plots-${state.scenario}`).content.cloneNode(true);
  const kept = (place, kind, after) => {
    const figure = plots.querySelector(`[data-kind="${kind}"]`);
    part(place).hidden = !figure;
    part(`${place}-body`).replaceChildren(...(figure ? [figure, ...after(figure)] : []));
  };
  kept("pareto", "scores", () => []);
  kept("backfill", "backfill", backfillChoices);
  kept("matrices", "matrix", (figure) => { figure.replaceChildren(...matrixPanels(figure), figure.querySelector("figcaption")); return []; });
  for (const mark of document.querySelectorAll("#upgrade [data-label]")) prepareMark(mark);
}

function prepareMark(mark) {
  const row = current().rows.find(({ label }) => label === mark.dataset.label);
  mark.toggleAttribute("hidden", refused(row));
  const title = mark.querySelector("title");
  const words = title?.textContent ?? row.label;
  title?.remove(); // the browser's own tip would cover ours
  const to = address(current(), row.label);
  mark.addEventListener("pointerenter", () => showTip(mark, words));
  mark.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && part("tip").hidePopover());
  mark.addEventListener("click", (event) => {
    if (event.pointerType === "mouse") location.hash = to;
    else showTip(mark, words, " ", h("a", { href: to }, "Open the row"));
  });
}

// Orders as buttons, rows as chips: a chip gives its curve a colour, or takes it away.
function backfillChoices(figure) {
  const drawings = [...figure.querySelectorAll("svg.plot")];
  const chosen = Math.min(state.order, drawings.length - 1);
  drawings.forEach((one, index) => { one.toggleAttribute("hidden", index !== chosen); });
  const curves = [...drawings[chosen].querySelectorAll(".curve")];
  const slot = (curve) => [...curve.classList].find((name) => /^s\d$/.test(name));
  state.curves ??= curves.filter(slot).sort((a, b) => slot(a).localeCompare(slot(b))).map((one) => one.dataset.label);
  for (const curve of curves) {
    const place = state.curves.indexOf(curve.dataset.label);
    curve.setAttribute("class", place < 0 ? "curve" : `curve s${place}`);
    if (place >= 0) curve.parentNode.append(curve);
  }
  const again = (change, focused) => {
    change();
    drawPlots();
    [...part("backfill-body").querySelectorAll("button")].find((one) => one.textContent === focused)?.focus();
  };
  const labels = current().rows.filter((row) => !refused(row)).map(({ label }) => label).filter((label) => curves.some((one) => one.dataset.label === label));
  const orders = drawings.map((one, index) => h("button", { type: "button", "aria-pressed": String(index === chosen), click: () => again(() => { state.order = index; }, one.dataset.order) }, one.dataset.order));
  const chips = labels.map((label) => {
    const place = state.curves.indexOf(label);
    return h("button", { type: "button", class: place < 0 ? null : `on s${place}`, "aria-pressed": String(place >= 0), click: () => again(() => toggleCurve(label), label) }, label);
  });
  figure.prepend(h("div", { class: "choice", role: "group", "aria-label": "Order in which items are re-embedded" }, orders));
  const named = state.curves.map((label, place) => (labels.includes(label) ? h("li", { class: `s${place}` }, h("i"), label) : null));
  return [h("ul", { class: "legend", "aria-label": "Colours of the curves" }, named), h("details", { class: "curves", open: state.curvesOpen, toggle: (event) => { state.curvesOpen = event.target.open; } },
    h("summary", {}, `Curves to show, up to ${MOST_CURVES} in colour`),
    h("div", { class: "chips", role: "group", "aria-label": "Curves to show" }, chips))];
}

function toggleCurve(label) {
  const slot = state.curves.indexOf(label);
  if (slot >= 0) state.curves[slot] = null;
  else if (state.curves.includes(null)) state.curves[state.curves.indexOf(null)] = label;
  else if (state.curves.length < MOST_CURVES) state.curves.push(label);
  else state.curves[0] = label;
}

// Panels flow by themselves, so that those of hidden rows leave no hole.
function matrixPanels(figure) {
  return [...figure.querySelectorAll("svg.panel")].map((panel) => {
    const [width, height] = panel.getAttribute("viewBox").split(" ").slice(2);
    const whole = s("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `Compatibility matrix of ${panel.dataset.label}; its numbers are in the table Matrix`, "data-label": panel.dataset.label });
    whole.append(...panel.childNodes);
    return whole;
  });
}
