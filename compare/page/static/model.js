// The model in JavaScript, in float64, with the same intermediates under the same names.
// Pixels of one kind have the same query, key and value. With one normalization for all pixels a
// kind is a grey level (the histogram form); otherwise every pixel is its own kind.

const PIXELS = 784;
const SIDE = 28;

// An array encoded by Python: its little-endian bytes in base64, and its dtype.
function decode(encoded) {
  const bytes = Uint8Array.from(atob(encoded.data), (character) => character.charCodeAt(0));
  if (encoded.dtype === "uint8") return bytes;
  const view = new DataView(bytes.buffer);
  const isSingle = encoded.dtype === "float32";
  const size = isSingle ? 4 : 8;
  return Float64Array.from({ length: bytes.length / size }, (_, i) =>
    isSingle ? view.getFloat32(i * size, true) : view.getFloat64(i * size, true),
  );
}

function readModel(data) {
  const shift = decode(data.shift);
  const scale = decode(data.scale);
  const all = decode(data.digits);
  return {
    shift,
    scale,
    isGlobal: shift.length === 1 && scale.length === 1,
    digits: data.labels.map((label, i) => ({
      label,
      levels: all.slice(i * PIXELS, (i + 1) * PIXELS),
    })),
    checkpoints: data.checkpoints.map(({ name, params }) => ({ name, params: readParams(params) })),
  };
}

function readParams(encoded) {
  return {
    channels: encoded.K.shape[0],
    outputs: encoded["out.bias"].shape[0],
    K: decode(encoded.K),
    Q: decode(encoded.Q),
    V: decode(encoded.V),
    outWeight: decode(encoded["out.weight"]),
    outBias: decode(encoded["out.bias"]),
  };
}

// The model's input for a grey level at a pixel, in float32 as shared/data/normalization.py rounds.
function normalize(model, level, pixel) {
  const shift = model.shift[model.shift.length === 1 ? 0 : pixel];
  const scale = model.scale[model.scale.length === 1 ? 0 : pixel];
  return Math.fround((level - shift) / scale);
}

// The kinds of pixels in an image: the input and the count of each kind, and the kind of each pixel.
function findKinds(model, levels) {
  const inputs = [];
  const counts = [];
  const kindOf = new Uint16Array(PIXELS);
  const seen = new Map();
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    const name = model.isGlobal ? levels[pixel] : pixel;
    if (!seen.has(name)) {
      seen.set(name, inputs.length);
      inputs.push(normalize(model, levels[pixel], pixel));
      counts.push(0);
    }
    kindOf[pixel] = seen.get(name);
    counts[kindOf[pixel]]++;
  }
  return { inputs, counts, kindOf };
}

// input @ matrix, where all channels of the input are equal: [channels]
function project(input, matrix, channels) {
  const projected = new Float64Array(channels);
  for (let row = 0; row < channels; row++) {
    for (let column = 0; column < channels; column++) {
      projected[column] += input * matrix[row * channels + column];
    }
  }
  return projected;
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

// softmax(scores) with counted scores: the weight of ONE pixel of each kind.
function softmax(scores, counts) {
  const largest = Math.max(...scores);
  const exponentials = scores.map((score) => Math.exp(score - largest));
  const total = exponentials.reduce((sum, exponential, i) => sum + counts[i] * exponential, 0);
  return exponentials.map((exponential) => exponential / total);
}

// The keys and values of an image, by kind.
function projectKinds(params, kinds) {
  const by = (matrix) => kinds.inputs.map((input) => project(input, matrix, params.channels));
  return { query: by(params.Q), key: by(params.K), value: by(params.V) };
}

// One row of the scores and of the weights, by kind.
function attendFrom(params, kinds, projected, kind) {
  const query = projected.query[kind];
  const scores = projected.key.map((key) => dot(query, key) / Math.sqrt(params.channels));
  const weights = softmax(scores, kinds.counts);
  return { scores, weights };
}

function attend(params, kinds, projected) {
  return kinds.inputs.map((_, kind) => {
    const { weights } = attendFrom(params, kinds, projected, kind);
    const attended = new Float64Array(params.channels);
    weights.forEach((weight, other) => {
      for (let channel = 0; channel < params.channels; channel++) {
        attended[channel] += kinds.counts[other] * weight * projected.value[other][channel];
      }
    });
    return attended;
  });
}

// The scores and weights of one pixel for all pixels, [784] each.
function attentionOf(model, params, levels, pixel) {
  const kinds = findKinds(model, levels);
  const row = attendFrom(params, kinds, projectKinds(params, kinds), kinds.kindOf[pixel]);
  const spread = (byKind) => Float64Array.from(kinds.kindOf, (kind) => byKind[kind]);
  return { scores: spread(row.scores), weights: spread(row.weights) };
}

// The attended image: [784 * channels], pixel by pixel as the linear layer reads it.
function attendedOf(model, params, levels) {
  const kinds = findKinds(model, levels);
  const byKind = attend(params, kinds, projectKinds(params, kinds));
  const features = new Float64Array(PIXELS * params.channels);
  kinds.kindOf.forEach((kind, pixel) => features.set(byKind[kind], pixel * params.channels));
  return features;
}

function logitsOf(model, params, levels) {
  const features = attendedOf(model, params, levels);
  return Array.from({ length: params.outputs }, (_, output) => {
    const start = output * features.length;
    const row = params.outWeight.subarray(start, start + features.length);
    return dot(features, row) + params.outBias[output];
  });
}

function probabilitiesOf(model, params, levels) {
  const logits = logitsOf(model, params, levels);
  return softmax(logits, logits.map(() => 1));
}
