// Attention: what a pixel of a real digit attends to, computed here from the run's parameters.

const CELL = 16; // of the large picture, in canvas pixels

// Everything shown follows from these.
function makeAttentionState(model) {
  return { model, digit: 0, checkpoint: 0, channel: 0, pixel: 14 * SIDE + 14, isPinned: false };
}

function computeAttention(state) {
  const { model } = state;
  const { levels } = model.digits[state.digit];
  const { params } = model.checkpoints[state.checkpoint];
  const kinds = findKinds(model, levels);
  const projected = projectKinds(params, kinds);
  const rows = kinds.inputs.map((_, kind) => attendFrom(params, kinds, projected, kind));
  const attended = attendedOf(model, params, levels);
  // One scale for all pixels of a digit, so that colours stay comparable.
  const highest = Math.max(...rows.map(({ weights }) => Math.max(...weights)));
  return { levels, params, kinds, rows, attended, highest };
}

// The scores and weights of the chosen pixel, [784] each.
function lookFrom(state, computed) {
  return attentionOf(state.model, computed.params, computed.levels, state.pixel);
}

function paintHeat(canvas, state, computed, { weights }) {
  canvas.width = SIDE * CELL;
  canvas.height = SIDE * CELL;
  const context = canvas.getContext("2d");
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    context.fillStyle = `rgb(${colorAt(HEAT, weights[pixel] / computed.highest).join(" ")})`;
    context.fillRect((pixel % SIDE) * CELL, Math.floor(pixel / SIDE) * CELL, CELL, CELL);
  }
  // Twice, so that the outline is visible on dark and on bright.
  context.lineCap = "round";
  for (const [width, color] of [[4, "rgb(0 0 0 / 45%)"], [2, "rgb(255 255 255 / 90%)"]]) {
    context.lineWidth = width;
    context.strokeStyle = color;
    strokeOutline(context, computed.levels, CELL);
  }
  markPixel(context, state.pixel, CELL, state.isPinned);
}

function markPixel(context, pixel, cell, isPinned) {
  const [x, y] = [(pixel % SIDE) * cell, Math.floor(pixel / SIDE) * cell];
  const [outer, inner] = isPinned ? [8, 5] : [6, 3];
  for (const [width, color] of [[outer, "#000000"], [inner, "#4df0ff"]]) {
    context.lineWidth = width;
    context.strokeStyle = color;
    context.strokeRect(x, y, cell, cell);
  }
}

// In a sentence: how this pixel divides its attention between black and white ones.
function describePixel(state, computed) {
  const level = computed.levels[state.pixel];
  const [row, column] = [Math.floor(state.pixel / SIDE) + 1, (state.pixel % SIDE) + 1];
  const start = `Row ${row}, column ${column}, grey level ${level}.`;
  const weightOfLevel = (wanted) => {
    const index = computed.levels.indexOf(wanted);
    return index < 0 ? null : lookFrom(state, computed).weights[index];
  };
  const { low, high } = rangeOf(lookFrom(state, computed).weights);
  if (high < 1.01 * low) return `${start} It gives all pixels the same weight, to within 1 %.`;
  const brightest = Math.max(...computed.levels);
  const [black, white] = [weightOfLevel(0), weightOfLevel(brightest)];
  if (!state.model.isGlobal || black === null || brightest === 0) return start;
  const ratio = white / black;
  const [more, less] = ratio >= 1 ? ["a bright", "a black"] : ["a black", "a bright"];
  const times = ratio >= 1 ? ratio : 1 / ratio;
  return `${start} It gives ${more} pixel ${say(times, 2)} times the weight of ${less} one.`;
}

// The weight of one pixel of every grey level, times 784: 1 for equal weights.
function weightsByLevel(state, computed) {
  const { model } = state;
  const { weights } = lookFrom(state, computed);
  const query = project(
    normalize(model, computed.levels[state.pixel], state.pixel),
    computed.params.Q,
    computed.params.channels,
  );
  const score = (input) =>
    dot(query, project(input, computed.params.K, computed.params.channels)) /
    Math.sqrt(computed.params.channels);
  const own = normalize(model, computed.levels[0], 0);
  // All weights of a row are exp(score) over one total: the first pixel's gives the total.
  return Array.from({ length: 256 }, (_, level) =>
    PIXELS * weights[0] * Math.exp(score(normalize(model, level, 0)) - score(own)),
  );
}

function levelCounts(levels) {
  const counts = new Array(256).fill(0);
  for (const level of levels) counts[level]++;
  return counts;
}
