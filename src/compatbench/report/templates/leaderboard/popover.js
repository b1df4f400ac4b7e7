// The small "?" beside a word opens its definition where it stands.
function termButton(title, anchor) {
  return h("button", { type: "button", class: "term", "aria-label": `what ${title} means`, click: (event) => showTerm(event.currentTarget, anchor) }, "?");
}

function showTerm(button, anchor) {
  const term = part(anchor);
  showTip(button, h("b", {}, term.querySelector("dt").textContent), h("span", {}, term.querySelector("dd").textContent));
}

function showTip(target, ...content) {
  const tip = part("tip");
  const host = part("details").open ? part("details") : document.body;
  if (tip.parentElement !== host) host.append(tip);
  tip.replaceChildren(...content);
  if (!tip.matches(":popover-open")) tip.showPopover();
  const [at, own] = [target.getBoundingClientRect(), tip.getBoundingClientRect()];
  tip.style.left = `${Math.max(8, Math.min(innerWidth - own.width - 8, at.left - 12))}px`;
  tip.style.top = `${at.bottom + own.height + 8 > innerHeight ? Math.max(8, at.top - own.height - 6) : at.bottom + 6}px`;
}
