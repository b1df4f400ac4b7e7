// Light or dark as the system says, until the reader chooses.
const THEMES = ["auto", "light", "dark"];

function remembered() {
  try {
    return localStorage.getItem("compatbench-theme");
  } catch {
    return null; // some browsers keep nothing for pages opened from a file
  }
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  part("theme").textContent = `Theme: ${theme}`;
  try {
    localStorage.setItem("compatbench-theme", theme);
  } catch {
    // then it holds until the page is closed
  }
}

function startTheme() {
  let theme = THEMES.includes(remembered()) ? remembered() : "auto";
  const button = part("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    setTheme(theme);
  });
  setTheme(theme);
}
