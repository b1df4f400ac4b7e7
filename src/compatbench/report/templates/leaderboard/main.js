// Draws the page, and follows its address: #/suite/scenario/label opens a row.
function redraw() {
  remember();
  draw();
}

function draw() {
  drawOverview();
  drawPicker();
  drawHead();
  drawTables();
  drawPlots();
}

function follow() {
  const dialog = part("details");
  if (!location.hash.startsWith("#/")) return;
  const { index, row, place, choices } = parsed(location.hash);
  if (index < 0) return;
  const moved = index !== state.scenario;
  const before = address(current());
  choose(index);
  adopt(choices);
  if (address(current()) !== before) {
    drawFilters();
    draw();
  }
  if (row >= 0) showDetails(current(), current().rows[row], place);
  else if (dialog.open) dialog.close();
  else if (moved) part(location.hash.split("/").length > 2 ? "upgrade" : "overview").scrollIntoView();
}

// At first the largest suite is shown, from its first scenario on.
function largest() {
  const cells = (name) => data.scenarios.filter((one) => one.suite === name).reduce((sum, { rows, seeds }) => sum + rows.length * seeds.length, 0);
  const best = data.suites.map(({ name }) => name).sort((a, b) => cells(b) - cells(a))[0];
  return Math.max(0, data.scenarios.findIndex((one) => one.suite === best));
}

async function start() {
  document.body.insertAdjacentHTML("beforeend", await unpacked("plots"));
  choose(largest());
  startTheme();
  const dialog = part("details");
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  dialog.addEventListener("close", () => {
    state.beside = "";
    if (location.hash.startsWith("#/")) history.replaceState(null, "", address(current()));
  });
  part("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);
  drawFilters();
  draw();
  follow();
}

await start();
