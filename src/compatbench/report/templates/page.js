"use strict";

// Headers become buttons that sort the rows of each group; what is undefined stays last either way.
function sortable(table) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    header.replaceChildren(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const first = header.classList.contains("right") ? "descending" : "ascending";
      const second = first === "descending" ? "ascending" : "descending";
      const order = header.getAttribute("aria-sort") === first ? second : first;
      headers.forEach((other) => other.setAttribute("aria-sort", other === header ? order : "none"));
      for (const body of table.tBodies) sortRows(body, index, order === "ascending" ? 1 : -1);
    });
  });
}

function sortRows(body, index, sign) {
  const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
  rows.sort((a, b) => compare(a.cells[index].dataset.sort, b.cells[index].dataset.sort, sign));
  body.append(...rows);
}

function compare(a, b, sign) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const difference = Number(a) - Number(b);
  return sign * (Number.isNaN(difference) ? a.localeCompare(b) : difference);
}

// One filter for all tables: by text, and by what rows need.
function filter() {
  const words = document.getElementById("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const refused = [...document.querySelectorAll('input[name="need"]:checked')].map((box) => box.value);
  let shown = 0;
  let all = 0;
  for (const body of document.querySelectorAll("tbody")) {
    let visible = 0;
    for (const row of body.querySelectorAll("tr[data-tags]")) {
      const text = row.textContent.toLowerCase();
      const tags = JSON.parse(row.dataset.tags);
      row.hidden = !words.every((word) => text.includes(word)) || refused.some((need) => tags.includes(need));
      visible += row.hidden ? 0 : 1;
      all += 1;
    }
    body.querySelector("tr.group").hidden = visible === 0;
    shown += visible;
  }
  const active = words.length > 0 || refused.length > 0;
  document.getElementById("filter-count").textContent = active ? `${shown} of ${all} rows shown` : "";
}

document.querySelectorAll("table").forEach(sortable);
const form = document.getElementById("filter");
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
filter(); // a reloaded page keeps its inputs
