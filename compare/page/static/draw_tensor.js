// Pictures of numbers: a matrix as coloured cells, on a canvas.

// From dark to light, so that larger is brighter in both themes.
const HEAT = ["#10162b", "#35296b", "#87377d", "#d8525f", "#f79a4b", "#fdf0b5"].map(readColor);
const GREY = ["#000000", "#ffffff"].map(readColor);

function readColor(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

// The colour at `t`, 0 to 1, of a ramp of evenly spaced colours.
function colorAt(ramp, t) {
  const place = Math.min(Math.max(t, 0), 1) * (ramp.length - 1);
  const left = Math.min(Math.floor(place), ramp.length - 2);
  return ramp[left].map((from, i) => Math.round(from + (place - left) * (ramp[left + 1][i] - from)));
}

function rangeOf(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

// One pixel of the canvas for each of rows * columns values; the style makes it larger.
function paintMatrix(canvas, values, rows, columns, { ramp = HEAT, low, high } = {}) {
  const range = low === undefined ? rangeOf(values) : { low, high };
  const span = range.high - range.low || 1;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) {
    image.data.set([...colorAt(ramp, (values[i] - range.low) / span), 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function paintDigit(canvas, levels) {
  paintMatrix(canvas, levels, SIDE, SIDE, { ramp: GREY, low: 0, high: 255 });
}

// A picture encoded by Python: bytes, 0 to 255, of [rows, columns].
function paintPicture(canvas, picture) {
  const [rows, columns] = picture.shape;
  paintMatrix(canvas, decode(picture), rows, columns, { low: 0, high: 255 });
}

// The border of the digit's strokes: the edges between pixels of level 128 and more, and less.
function strokeOutline(context, levels, cell) {
  const isInk = (row, column) =>
    row >= 0 && row < SIDE && column >= 0 && column < SIDE && levels[row * SIDE + column] >= 128;
  context.beginPath();
  for (let row = 0; row <= SIDE; row++) {
    for (let column = 0; column <= SIDE; column++) {
      const [x, y] = [column * cell, row * cell];
      if (isInk(row, column) !== isInk(row - 1, column)) {
        context.moveTo(x, y);
        context.lineTo(x + cell, y);
      }
      if (isInk(row, column) !== isInk(row, column - 1)) {
        context.moveTo(x, y);
        context.lineTo(x, y + cell);
      }
    }
  }
  context.stroke();
}

// A number in few characters: 0.0123, 1.2e-7, 784.
function say(value, digits = 3) {
  if (value === null || !Number.isFinite(value)) return "no number";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(digits)));
  return value.toExponential(digits - 1).replace("e+", "e");
}

function sayPercent(share) {
  return share === null ? "no number" : `${(100 * share).toFixed(2)} %`;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The implementations with a colour in base.css, and their display names.
const NAMES = readData("names");

function nameOf(implementation) {
  return NAMES[implementation] ?? implementation;
}

function accentOf(implementation) {
  return `var(--${implementation in NAMES ? implementation : "other"})`;
}
