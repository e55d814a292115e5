// The controls and pictures of the Attention section.

function startAttention(data) {
  const section = document.getElementById("attention");
  const model = readModel(data);
  const state = makeAttentionState(model);
  const view = {
    section,
    heat: section.querySelector("canvas.heat"),
    chart: null,
    say: (name, text) => (section.querySelector(`[data-of-pixel=${name}]`).textContent = text),
  };
  let computed = computeAttention(state);
  state.pixel = brightestPixel(computed.levels);

  function update({ isNew = false, isSpoken = false } = {}) {
    if (isNew) computed = computeAttention(state);
    showAttention(view, state, computed, { isNew, isSpoken });
  }

  addDigitChoice(section.querySelector(".digits"), model, (digit) => {
    state.digit = digit;
    computed = computeAttention(state);
    state.pixel = brightestPixel(computed.levels);
    state.isPinned = false;
    update({ isNew: true });
  });
  addCheckpointChoice(section.querySelector("select[name=parameters]"), model, (checkpoint) => {
    state.checkpoint = checkpoint;
    update({ isNew: true });
  });
  addChannelChoice(section.querySelector("select[name=channel]"), model, (channel) => {
    state.channel = channel;
    update({ isNew: true });
  });
  followPointer(view.heat, state, update);
  followKeys(view.heat, state, update);
  if (model.isGlobal) view.chart = addLevelChart(section, state, () => computed);
  update({ isNew: true });
  return { model, state };
}

// The first chosen pixel: in the middle of a stroke.
function brightestPixel(levels) {
  return levels.indexOf(Math.max(...levels));
}

function addDigitChoice(place, model, choose) {
  model.digits.forEach(({ levels }, i) => {
    const canvas = element("canvas", { "aria-hidden": "true" });
    paintDigit(canvas, levels);
    const input = element("input", { type: "radio", name: "digit", value: String(i) });
    input.checked = i === 0;
    input.addEventListener("change", () => choose(i));
    const words = element("span", { class: "sr-only" }, nameDigit(model, i));
    place.append(element("label", {}, input, canvas, words));
  });
}

// The page has several digits of each class, in the order of the classes.
function nameDigit(model, i) {
  const { label } = model.digits[i];
  const number = i - model.digits.findIndex((digit) => digit.label === label) + 1;
  return `a ${label}, example ${number}`;
}

function addCheckpointChoice(select, model, choose) {
  model.checkpoints.forEach(({ name }, i) => {
    select.append(element("option", { value: String(i) }, name));
  });
  select.addEventListener("change", () => choose(Number(select.value)));
}

function addChannelChoice(select, model, choose) {
  const { channels } = model.checkpoints[0].params;
  for (let channel = 0; channel < channels; channel++) {
    select.append(element("option", { value: String(channel) }, String(channel + 1)));
  }
  select.closest("label").hidden = channels === 1;
  select.addEventListener("change", () => choose(Number(select.value)));
}

function pixelAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const cell = (offset, size) => Math.min(Math.max(Math.floor((offset / size) * SIDE), 0), SIDE - 1);
  return cell(event.clientY - box.top, box.height) * SIDE + cell(event.clientX - box.left, box.width);
}

function followPointer(canvas, state, update) {
  canvas.addEventListener("pointermove", (event) => {
    if (state.isPinned) return;
    const pixel = pixelAt(canvas, event);
    if (pixel === state.pixel) return;
    state.pixel = pixel;
    update();
  });
  canvas.addEventListener("click", (event) => {
    const pixel = pixelAt(canvas, event);
    state.isPinned = !(state.isPinned && pixel === state.pixel);
    state.pixel = pixel;
    update();
  });
}

const MOVES = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function movePixel(pixel, [down, right]) {
  const row = Math.min(Math.max(Math.floor(pixel / SIDE) + down, 0), SIDE - 1);
  const column = Math.min(Math.max((pixel % SIDE) + right, 0), SIDE - 1);
  return row * SIDE + column;
}

function followKeys(canvas, state, update) {
  canvas.addEventListener("keydown", (event) => {
    if (event.key in MOVES) {
      state.pixel = movePixel(state.pixel, MOVES[event.key]);
      state.isPinned = true; // or the next stir of the mouse would undo it
    } else if (event.key === "Enter" || event.key === " ") {
      state.isPinned = !state.isPinned;
    } else if (event.key === "Escape") {
      state.isPinned = false;
    } else {
      return;
    }
    event.preventDefault();
    update({ isSpoken: true });
  });
}

function showAttention(view, state, computed, { isNew, isSpoken }) {
  const row = lookFrom(state, computed);
  const { channels } = computed.params;
  const attended = Float64Array.from(
    { length: PIXELS },
    (_, pixel) => computed.attended[pixel * channels + state.channel],
  );
  paintHeat(view.heat, state, computed, row);
  const sentence = describePixel(state, computed);
  view.say("sentence", sentence);
  view.say("pin", state.isPinned ? "Pinned: click it again or press Escape to unpin it." : "");
  if (isSpoken) view.say("spoken", sentence);
  view.say("score", `${say(rangeOf(row.scores).low)} to ${say(rangeOf(row.scores).high)}`);
  const { low, high } = rangeOf(row.weights);
  view.say("weight", `${say(PIXELS * low, 2)} to ${say(PIXELS * high, 2)} times 1/784`);
  view.say("attended", `${say(attended[state.pixel])} at the chosen pixel`);
  view.say("highest", `${say(PIXELS * computed.highest, 2)} times 1/784`);
  const small = (name) => view.section.querySelector(`canvas.${name}`);
  paintMatrix(small("scores"), row.scores, SIDE, SIDE);
  paintMatrix(small("weights"), row.weights, SIDE, SIDE, { low: 0, high: computed.highest });
  if (isNew) {
    paintDigit(small("digit"), computed.levels);
    paintMatrix(small("attended"), attended, SIDE, SIDE);
    const ramp = HEAT.map((color) => `rgb(${color.join(" ")})`).join(", ");
    view.section.querySelector(".ramp").style.background = `linear-gradient(to right, ${ramp})`;
    const even = 100 / (PIXELS * computed.highest);
    view.section.querySelector(".ramp-holder i").style.left = `calc(${even}% - 1px)`;
  }
  view.chart?.plot.setData(levelChartData(state, computed));
}

function levelChartData(state, computed) {
  const own = computed.levels[state.pixel];
  const byLevel = weightsByLevel(state, computed);
  const counts = levelCounts(computed.levels);
  return [
    byLevel.map((_, level) => level),
    byLevel,
    byLevel.map((weight, level) => (counts[level] > 0 ? weight : null)),
    byLevel.map((weight, level) => (level === own ? weight : null)),
  ];
}

function addLevelChart(section, state, current) {
  return addChart(section.querySelector(".by-level"), {
    label:
      "A line: the weight that the chosen pixel gives to one pixel of each grey level, from black " +
      "to white, as a multiple of even attention. Dots: the levels that the digit has.",
    height: 190,
    legend: false,
    data: levelChartData(state, current()),
    make: () => {
      const [ink, muted, mark] = ["--ink", "--muted", "--mark"].map((name) => colorOf(`var(${name})`));
      return {
        series: {
          lines: [
            { stroke: withAlpha(muted, 0.7), width: 1.5, points: { show: false } },
            { stroke: ink, width: 0, paths: () => null, points: { show: true, size: 4, fill: ink } },
            {
              stroke: mark,
              paths: () => null,
              points: { show: true, size: 11, width: 3, stroke: mark, fill: "transparent" },
            },
          ],
        },
        scales: { x: { time: false, range: [-4, 259] }, y: { range: (_, __, high) => [0, high * 1.08] } },
        axes: [
          { label: "grey level of the other pixel: black to white", values: (_, s) => s, size: 30 },
          { label: "weight, times 784", size: 40 },
        ],
      };
    },
  });
}
