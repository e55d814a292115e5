// The entry point: read the data, start each section that exists, and the theme's switch.

function readData(name) {
  return JSON.parse(document.getElementById(`data-${name}`).textContent, withoutPrototype);
}

// A name from a file may be one that every object has, such as "constructor"; these objects have none.
function withoutPrototype(_, value) {
  const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
  return isObject ? Object.assign(Object.create(null), value) : value;
}

function startTheme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const show = () => {
    button.textContent = root.dataset.theme === "dark" ? "Light theme" : "Dark theme";
  };
  button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // Kept for this visit only.
    }
    show();
    redrawCharts();
  });
  show();
}

startTheme();
startIntermediates(readData("intermediates"));
const attention = startAttention(readData("model"));
const drawing = startDraw(attention.model);
startFlow(attention.model);
for (const [name, start] of Object.entries({
  training: startTraining,
  speed: startSpeed,
  bugs: startBugs,
})) {
  const data = readData(name);
  if (data !== null) start(data);
}

// For the browser's console, and for the tests: the page's model.
globalThis.sideBySide = Object.freeze({
  attention: () => {
    const { model, state } = attention;
    const { levels } = model.digits[state.digit];
    const { params, name } = model.checkpoints[state.checkpoint];
    const { scores, weights } = attentionOf(model, params, levels, state.pixel);
    return {
      checkpoint: model.checkpoints[state.checkpoint].name,
      digit: state.digit,
      pixel: state.pixel,
      isPinned: state.isPinned,
      scores: [...scores],
      weights: [...weights],
      attended: [...attendedOf(model, params, levels)],
    };
  },
  drawing: () => ({ levels: [...drawing.seen()], probabilities: drawing.shares() }),
});
