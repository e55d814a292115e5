// Code: choose a step, and see its line in every implementation and what it really computed.

function startSteps(data) {
  const section = document.getElementById("code");
  const table = section.querySelector("table.code");
  const views = section.querySelector("select[name=view]");
  const byName = new Map(data.steps.map((step) => [step.name, step]));

  function showView(name) {
    const parts = (views.selectedOptions[0]?.dataset.parts ?? "").split(" ").filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      row.hidden = name !== "all" && !parts.includes(row.dataset.part);
    }
    table.dataset.view = name;
  }

  function choose(name) {
    if (!table.querySelector(`tr[data-step="${name}"]:not([hidden])`)) {
      views.value = "steps";
      showView("steps");
    }
    // In the whole file a step stands in several forms: that of the plain formula is the one traced.
    const shown = [...table.querySelectorAll(`tr[data-step="${name}"]:not([hidden])`)];
    for (const row of table.querySelectorAll("tr.chosen")) row.classList.remove("chosen");
    shown[0].classList.add("chosen");
    showStep(section, byName.get(name));
  }

  section.querySelectorAll("input[name=step]").forEach((input) => {
    input.addEventListener("change", () => choose(input.value));
  });
  section.querySelectorAll("input[name=shown]").forEach((input) => {
    input.addEventListener("change", () => (table.dataset.shown = input.value));
  });
  views.addEventListener("change", () => {
    showView(views.value);
    choose(section.querySelector("input[name=step]:checked").value);
  });
  table.addEventListener("click", (event) => {
    const step = event.target.closest("tr[data-step]")?.dataset.step;
    if (!step || String(getSelection())) return; // a reader who marks text to copy chooses nothing
    section.querySelector(`input[name=step][value="${step}"]`).checked = true;
    choose(step);
  });
  showView(views.value);
  choose(section.querySelector("input[name=step]:checked").value);
}

function showStep(section, step) {
  const set = (name, text) => (section.querySelector(`[data-of-step=${name}]`).textContent = text);
  set("name", step.name);
  set("about", STEP_TEXTS[step.name]);
  set("shape", step.shape.length ? step.shape.join(" × ") : "a single number");
  set("axes", step.axes.join(", "));
  set("range", step.low === step.high ? say(step.low, 5) : `${say(step.low, 4)} to ${say(step.high, 4)}`);
  showPicture(section.querySelector("[data-of-step=picture]"), step);
  showErrors(section.querySelector("[data-of-step=errors]"), step);
}

const STEP_TEXTS = {
  query: "What each pixel asks for: its grey level times Q.",
  key: "What each pixel offers: its grey level times K.",
  value: "What each pixel hands over: its grey level times V.",
  scores: "How well each query fits each key: a row for each asking pixel, a column for each other.",
  weights: "The scores of a row through softmax: positive, and their sum is 1.",
  attended: "The mean of all values, by the weights of each pixel's row: an image again.",
  logits: "One number for each digit: a linear layer reads the attended image.",
  loss: "How surprising the true digit is, in nats: minus the log of its probability.",
};

function showPicture(place, step) {
  place.replaceChildren();
  if (step.picture) {
    const [rows, columns] = step.picture.shape;
    const canvas = element("canvas", {
      role: "img",
      "aria-label": `${step.name} as a picture: dark is ${say(step.low)}, bright ${say(step.high)}`,
      class: rows === columns && rows > SIDE ? "table" : "channels",
      style: `aspect-ratio: ${columns} / ${rows}`,
    });
    paintPicture(canvas, step.picture);
    place.append(canvas);
  } else if (step.values.length > 1) {
    place.append(makeBars(step));
  } else {
    place.append(element("p", { class: "big-number" }, say(step.values[0], 5)));
  }
}

// Logits as bars to both sides of zero.
function makeBars(step) {
  const size = Math.max(...step.values.map(Math.abs)) || 1;
  const list = element("ol", { class: "signed-bars", start: "0" });
  step.values.forEach((value, digit) => {
    const bar = element("span", { class: value < 0 ? "bar below" : "bar" });
    bar.style.setProperty("--share", Math.abs(value) / size);
    const number = element("span", { class: "number" }, value.toFixed(2));
    list.append(element("li", {}, element("span", { class: "digit" }, String(digit)), bar, number));
  });
  return list;
}

// A row for each implementation and dtype: a dot on a log axis from 1e-7 of the bound to the bound.
function showErrors(place, step) {
  const rows = [];
  for (const [name, byDtype] of Object.entries(step.errors)) {
    for (const [dtype, found] of Object.entries(byDtype)) rows.push(errorRow(name, dtype, found));
  }
  place.replaceChildren(...rows);
}

const LOWEST_POWER = -7;

function errorRow(name, dtype, { local, carried, passed }) {
  const ratio = local ?? carried;
  const track = element("td", { class: "track" });
  if (ratio !== 0) {
    const power = ratio === null ? 0.5 : Math.log10(ratio);
    const place = Math.min(Math.max(1 - power / LOWEST_POWER, 0), 1.06);
    const dot = element("span", { class: passed ? "dot" : "dot failed" });
    dot.style.setProperty("--place", place);
    track.append(dot);
  }
  track.style.setProperty("--accent", accentOf(name));
  const said = ratio === 0 ? "no error" : ratio === null ? "beyond measure" : say(ratio, 2);
  const verdict = passed ? said : `${said}: too far`;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, nameOf(name)),
    element("td", {}, dtype),
    track,
    element("td", { class: passed ? "number" : "number failed" }, verdict),
    element("td", { class: "number" }, carried === 0 ? "no error" : say(carried, 2)),
  );
}
