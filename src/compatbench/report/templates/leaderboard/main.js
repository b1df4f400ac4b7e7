// Draws the page, and follows its address: #/suite/scenario/label opens a row.
function drawRows() {
  applyFilters();
  drawPareto();
  drawBackfill();
  drawMatrices();
}

function drawScenario() {
  drawPicker(() => {
    history.replaceState(null, "", address(current()));
    drawScenario();
  });
  drawHead();
  drawTables();
  drawRows();
}

function follow() {
  const dialog = part("details");
  if (!location.hash.startsWith("#/")) return;
  const { index, row, place } = parsed(location.hash);
  if (index < 0) return;
  const moved = index !== state.scenario;
  choose(index);
  if (moved) drawScenario();
  if (row >= 0) showDetails(current(), current().rows[row], place);
  else {
    if (dialog.open) dialog.close();
    part("upgrade").scrollIntoView();
    part("upgrade-title").focus({ preventScroll: true });
  }
}

// At first the largest suite is shown, from its first scenario on.
function largest() {
  const cells = d3.rollup(data.scenarios, (ones) => d3.sum(ones, ({ rows, seeds }) => rows.length * seeds.length), ({ suite }) => suite);
  const best = d3.greatest([...cells], ([, count]) => count)?.[0];
  return Math.max(0, data.scenarios.findIndex(({ suite }) => suite === best));
}

function start() {
  choose(largest());
  startTheme();
  const dialog = part("details");
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#/")) history.replaceState(null, "", address(current()));
  });
  addEventListener("hashchange", follow);
  drawStanding();
  startFilters(drawRows, () => {
    state.sort = null;
    drawStanding();
    drawTables();
  });
  drawScenario();
  follow();
}

start();
