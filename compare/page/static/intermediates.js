// Code: choose an intermediate, and see its line in every implementation and its values.

function startIntermediates(data) {
  const section = document.getElementById("code");
  const table = section.querySelector("table.code");
  const views = section.querySelector("select[name=view]");
  const byName = new Map(data.intermediates.map((intermediate) => [intermediate.name, intermediate]));

  function showView(name) {
    const parts = (views.selectedOptions[0]?.dataset.parts ?? "").split(" ").filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      row.hidden = name !== "all" && !parts.includes(row.dataset.part);
    }
    table.dataset.view = name;
  }

  function choose(name) {
    if (!table.querySelector(`tr[data-intermediate="${name}"]:not([hidden])`)) {
      views.value = "intermediates";
      showView("intermediates");
    }
    // The files have an intermediate in several forms; the traced one is that of `attend`.
    const shown = [...table.querySelectorAll(`tr[data-intermediate="${name}"]:not([hidden])`)];
    for (const row of table.querySelectorAll("tr.chosen")) row.classList.remove("chosen");
    shown[0].classList.add("chosen");
    showIntermediate(section, byName.get(name));
  }

  section.querySelectorAll("input[name=intermediate]").forEach((input) => {
    input.addEventListener("change", () => choose(input.value));
  });
  section.querySelectorAll("input[name=shown]").forEach((input) => {
    input.addEventListener("change", () => (table.dataset.shown = input.value));
  });
  views.addEventListener("change", () => {
    showView(views.value);
    choose(section.querySelector("input[name=intermediate]:checked").value);
  });
  table.addEventListener("click", (event) => {
    const intermediate = event.target.closest("tr[data-intermediate]")?.dataset.intermediate;
    if (!intermediate || String(getSelection())) return; // a reader who marks text to copy chooses nothing
    section.querySelector(`input[name=intermediate][value="${intermediate}"]`).checked = true;
    choose(intermediate);
  });
  showView(views.value);
  choose(section.querySelector("input[name=intermediate]:checked").value);
}

function showIntermediate(section, intermediate) {
  const set = (name, text) => (section.querySelector(`[data-of-intermediate=${name}]`).textContent = text);
  set("name", intermediate.name);
  set("about", TEXTS_OF[intermediate.name]);
  set("shape", intermediate.shape.length ? intermediate.shape.join(" × ") : "a single number");
  set("axes", intermediate.axes.join(", "));
  set("range", intermediate.low === intermediate.high ? say(intermediate.low, 5) : `${say(intermediate.low, 4)} to ${say(intermediate.high, 4)}`);
  set("legend", legendOf(intermediate));
  showPicture(section.querySelector("[data-of-intermediate=picture]"), intermediate);
  showErrors(section.querySelector("[data-of-intermediate=errors]"), intermediate);
}

const TEXTS_OF = {
  query: "What each pixel looks for: its normalised grey level times Q.",
  key: "What each pixel offers: its normalised grey level times K.",
  value: "What each pixel passes on: its normalised grey level times V.",
  scores: "How well each query fits each key: a row for each query, a column for each key.",
  weights: "The scores of a row through softmax: positive, and their sum is 1.",
  attended: "The mean of all values, weighted by the weights of each pixel's row: an image again.",
  logits: "One number for each digit: a linear layer reads the attended image.",
  loss: "Minus the log of the true digit's probability, in nats: small if the model is sure and right.",
};

function legendOf({ picture, values }) {
  if (!picture) return values.length > 1 ? "a bar for each digit, to the right of the line if positive" : "none: a single number";
  const [rows, columns] = picture.shape;
  const axes = rows === columns && rows > SIDE ? "a row for each query, a column for each key" : "one image for each channel";
  return `${axes}; the darkest is the smallest value, the brightest the largest`;
}

function showPicture(place, intermediate) {
  place.replaceChildren();
  if (intermediate.picture) {
    const [rows, columns] = intermediate.picture.shape;
    const canvas = element("canvas", {
      role: "img",
      "aria-label": `${intermediate.name} as a picture: dark is ${say(intermediate.low)}, bright ${say(intermediate.high)}`,
      class: rows === columns && rows > SIDE ? "table" : "channels",
      style: `aspect-ratio: ${columns} / ${rows}`,
    });
    paintPicture(canvas, intermediate.picture);
    place.append(canvas);
  } else if (intermediate.values.length > 1) {
    place.append(makeBars(intermediate));
  } else {
    place.append(element("p", { class: "big-number" }, say(intermediate.values[0], 5)));
  }
}

// Logits as bars to both sides of zero.
function makeBars(intermediate) {
  const size = Math.max(...intermediate.values.map(Math.abs)) || 1;
  const list = element("ol", { class: "signed-bars", start: "0" });
  intermediate.values.forEach((value, digit) => {
    const bar = element("span", { class: value < 0 ? "bar below" : "bar" });
    bar.style.setProperty("--share", Math.abs(value) / size);
    const number = element("span", { class: "number" }, value.toFixed(2));
    list.append(element("li", {}, element("span", { class: "digit" }, String(digit)), bar, number));
  });
  return list;
}

// A row for each implementation and dtype: a dot on a log axis from 1e-7 of the bound to the bound.
function showErrors(place, intermediate) {
  const rows = [];
  for (const [name, byDtype] of Object.entries(intermediate.errors)) {
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
  const said = ratio === 0 ? "no error" : ratio === null ? "not finite" : say(ratio, 2);
  const verdict = passed ? said : `${said}: exceeds the bound`;
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
