// The flow: one pixel through the model, from its query to the ten logits.

function startFlow(model) {
  const section = document.getElementById("flow");
  const canvas = section.querySelector("canvas.flow-digit");
  const outputs = section.querySelector("select[name=flow-output]");
  const state = { digit: 0, pixel: brightestPixel(model.digits[0].levels), output: null };
  const update = () => showFlow(section, computeFlow(model, state), state);

  const digits = section.querySelector("select[name=flow-digit]");
  model.digits.forEach((_, i) => {
    digits.append(element("option", { value: String(i) }, nameDigit(model, i)));
  });
  digits.addEventListener("change", () => {
    state.digit = Number(digits.value);
    state.pixel = brightestPixel(model.digits[state.digit].levels);
    state.output = null; // the largest, until one is chosen
    update();
  });
  for (let output = 0; output < model.checkpoints[0].params.outputs; output++) {
    outputs.append(element("option", { value: String(output) }, String(output)));
  }
  outputs.addEventListener("change", () => {
    state.output = Number(outputs.value);
    update();
  });
  section.querySelectorAll("input[name=flow-framework]").forEach((input) => {
    input.addEventListener("change", () => (section.querySelector(".flow").dataset.shown = input.value));
  });
  canvas.addEventListener("click", (event) => {
    state.pixel = pixelAt(canvas, event);
    update();
  });
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in MOVES)) return;
    event.preventDefault();
    state.pixel = movePixel(state.pixel, MOVES[event.key]);
    update();
  });
  update();
}

// All numbers of the flow, for the chosen pixel and for the pixel whose key fits it best.
function computeFlow(model, { digit, pixel, output }) {
  const { params, name } = model.checkpoints[0];
  const { levels } = model.digits[digit];
  const kinds = findKinds(model, levels);
  const projected = projectKinds(params, kinds);
  const kind = kinds.kindOf[pixel];
  const { scores, weights } = attendFrom(params, kinds, projected, kind);
  const best = scores.indexOf(Math.max(...scores));
  const { channels } = params;
  const features = attendedOf(model, params, levels);
  const logits = logitsOf(model, params, levels);
  const row = output ?? logits.indexOf(Math.max(...logits));
  const outRow = params.outWeight.subarray(row * features.length, (row + 1) * features.length);
  const ofPixel = (array) => array.slice(pixel * channels, (pixel + 1) * channels);
  return {
    ...{ name, levels, kinds, channels, scores, weights, best, features, logits, row, outRow },
    input: kinds.inputs[kind],
    Q: params.Q,
    query: projected.query[kind],
    keys: projected.key,
    values: projected.value,
    attended: ofPixel(features),
    outWeights: ofPixel(outRow),
    bias: params.outBias[row],
    bestPixel: kinds.kindOf.indexOf(best),
  };
}

function showFlow(section, flow, state) {
  for (const [name, text] of Object.entries(wordsOf(flow, state.pixel))) {
    section.querySelector(`[data-of-flow=${name}]`).textContent = text;
  }
  markPixel(paintCells(section.querySelector("canvas.flow-digit"), flow.levels), state.pixel, DRAW_CELL, false);
  const spread = (byKind) => Float64Array.from(flow.kinds.kindOf, (kind) => byKind[kind]);
  const first = (vectors) => Float64Array.from({ length: PIXELS }, (_, i) => vectors[i * flow.channels]);
  const pictures = {
    key: spread(flow.keys.map((key) => key[0])),
    scores: spread(flow.scores),
    weights: spread(flow.weights),
    value: spread(flow.values.map((value) => value[0])),
    attended: first(flow.features),
    logits: first(flow.outRow),
  };
  for (const [name, values] of Object.entries(pictures)) {
    paintMatrix(section.querySelector(`canvas.flow-${name}`), values, SIDE, SIDE);
  }
  section.querySelector("select[name=flow-output]").value = String(flow.row);
  const bars = makeBars({ values: flow.logits });
  bars.children[flow.row].classList.add("best");
  section.querySelector(".flow-bars").replaceChildren(bars);
}

const MOST_SHOWN = 4; // channels of a vector in a sentence

function sayVector(vector) {
  if (vector.length === 1) return say(vector[0]);
  const shown = [...vector].slice(0, MOST_SHOWN).map((number) => say(number));
  return `[${shown.join(", ")}${vector.length > MOST_SHOWN ? ", …" : ""}]`;
}

const placeOf = (pixel) => `row ${Math.floor(pixel / SIDE) + 1}, column ${(pixel % SIDE) + 1}`;

function sayRange(values) {
  const { low, high } = rangeOf(values);
  return `${say(low)} to ${say(high)}`;
}

function wordsOf(flow, pixel) {
  const { channels, best, row } = flow;
  const [score, weight] = [flow.scores[best], flow.weights[best]];
  const times = channels === 1 ? "×" : "·";
  const [key, value] = [sayVector(flow.keys[best]), sayVector(flow.values[best])];
  const inFirst = channels === 1 ? "" : " (pictured: channel 1)";
  const added = dot(flow.attended, flow.outWeights);
  return {
    parameters: `“${flow.name}”`,
    pixel: `The chosen pixel, ${placeOf(pixel)}, has grey level ${flow.levels[pixel]}; normalised, x = ${say(flow.input)}.`,
    query: `x times Q: ${channels === 1 ? `${say(flow.input)} × ${say(flow.Q[0])}` : "query"} = ${sayVector(flow.query)}`,
    key: `One for each of the 784 pixels${inFirst}. The best fit, at ${placeOf(flow.bestPixel)}: key = ${key}`,
    scores: `${sayVector(flow.query)} ${times} ${key} / √${channels} = ${say(score)} for that key; all scores: ${sayRange(flow.scores)}`,
    weights: `exp(${say(score)}) / sum of exp(score) over all pixels = ${say(weight)} for that pixel, ${say(PIXELS * weight)} times 1/784. All 784 sum to 1.`,
    value: `One for each pixel${inFirst}. That pixel's: value = ${value}`,
    attended: `Sum of weight × value over all pixels: ${say(weight)} × ${value} + … = ${sayVector(flow.attended)}`,
    logits:
      `The chosen pixel adds ${sayVector(flow.attended)} ${times} ${sayVector(flow.outWeights)} = ${say(added)} to the logit of ${row}. ` +
      `Summed over all pixels, with the bias ${say(flow.bias)}: ${say(flow.logits[row])}.`,
  };
}
