// Draw: a canvas of 28 by 28, and the model's ten probabilities after every stroke.

const DRAW_CELL = 12;
const BRUSH = 1.15; // radius of full ink in pixels; ink fades out over the next one

function makeDrawing() {
  return { levels: new Uint8Array(PIXELS), cursor: { row: 14, column: 14, isDown: false }, last: null };
}

// Ink around a point, in pixels: MNIST's strokes are two to three pixels wide and soft.
function addInk(levels, x, y) {
  for (let row = Math.floor(y) - 3; row <= y + 3; row++) {
    for (let column = Math.floor(x) - 3; column <= x + 3; column++) {
      if (row < 0 || row >= SIDE || column < 0 || column >= SIDE) continue;
      const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const ink = Math.round(255 * Math.min(Math.max(BRUSH + 0.6 - distance, 0), 1));
      levels[row * SIDE + column] = Math.max(levels[row * SIDE + column], ink);
    }
  }
}

function addLine(levels, from, to) {
  const count = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) * 3));
  for (let i = 0; i <= count; i++) {
    const t = i / count;
    addInk(levels, from.x + t * (to.x - from.x), from.y + t * (to.y - from.y));
  }
}

// Moved by whole pixels so that the centre of its ink is the centre of the image, as in MNIST.
function center(levels) {
  let [ink, x, y] = [0, 0, 0];
  levels.forEach((level, pixel) => {
    ink += level;
    x += level * (pixel % SIDE);
    y += level * Math.floor(pixel / SIDE);
  });
  if (ink === 0) return levels.slice();
  const [right, down] = [Math.round(SIDE / 2 - x / ink - 0.5), Math.round(SIDE / 2 - y / ink - 0.5)];
  const moved = new Uint8Array(PIXELS);
  levels.forEach((level, pixel) => {
    const [row, column] = [Math.floor(pixel / SIDE) + down, (pixel % SIDE) + right];
    if (row >= 0 && row < SIDE && column >= 0 && column < SIDE) moved[row * SIDE + column] = level;
  });
  return moved;
}

function startDraw(model) {
  const section = document.getElementById("draw");
  const canvas = section.querySelector("canvas.drawing");
  const select = section.querySelector("select[name=draw-parameters]");
  const centering = section.querySelector("input[name=center]");
  const drawing = makeDrawing();
  const seen = () => (centering.checked ? center(drawing.levels) : drawing.levels.slice());
  const chosen = () => model.checkpoints[Number(select.value) || 0].params;
  const rows = addProbabilityRows(section.querySelector(".probabilities"), chosen().outputs);
  addCheckpointChoice(select, model, () => update());
  addStarts(section.querySelector("select[name=start]"), model, (levels) => {
    drawing.levels.set(levels);
    update();
  });

  function update() {
    paintDrawing(canvas, drawing);
    paintDigit(section.querySelector("canvas.seen"), seen());
    const shares = probabilitiesOf(model, chosen(), seen());
    showProbabilities(rows, shares);
    const best = shares.indexOf(Math.max(...shares));
    const isEmpty = drawing.levels.every((level) => level === 0);
    section.querySelector("[data-of-draw=verdict]").textContent = isEmpty
      ? "Nothing is drawn yet: these are the probabilities of an empty image."
      : `Most likely a ${best}: ${(100 * shares[best]).toFixed(1)} %.`;
  }

  drawWithPointer(canvas, drawing, update);
  drawWithKeys(canvas, drawing, update);
  centering.addEventListener("change", update);
  section.querySelector("button[name=clear]").addEventListener("click", () => {
    drawing.levels.fill(0);
    section.querySelector("select[name=start]").value = "";
    update();
  });
  drawing.levels.set(model.digits[0].levels);
  update();
  return { seen, shares: () => probabilitiesOf(model, chosen(), seen()) };
}

function addStarts(select, model, choose) {
  model.digits.forEach((_, i) => {
    select.append(element("option", { value: String(i) }, nameDigit(model, i)));
  });
  select.value = "0";
  select.addEventListener("change", () => {
    if (select.value !== "") choose(model.digits[Number(select.value)].levels);
  });
}

function drawWithPointer(canvas, drawing, update) {
  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * SIDE,
      y: ((event.clientY - box.top) / box.height) * SIDE,
    };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    drawing.last = pointOf(event);
    addInk(drawing.levels, drawing.last.x, drawing.last.y);
    update();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing.last) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const point = pointOf(each);
      addLine(drawing.levels, drawing.last, point);
      drawing.last = point;
    }
    update();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => (drawing.last = null));
  }
}

function drawWithKeys(canvas, drawing, update) {
  const { cursor } = drawing;
  canvas.addEventListener("keydown", (event) => {
    if (event.key in MOVES) {
      const pixel = movePixel(cursor.row * SIDE + cursor.column, MOVES[event.key]);
      [cursor.row, cursor.column] = [Math.floor(pixel / SIDE), pixel % SIDE];
    } else if (event.key === " " || event.key === "Enter") {
      cursor.isDown = !cursor.isDown;
    } else if (event.key === "Delete" || event.key === "Backspace") {
      drawing.levels.fill(0);
      cursor.isDown = false;
    } else {
      return;
    }
    event.preventDefault();
    if (cursor.isDown) addInk(drawing.levels, cursor.column + 0.5, cursor.row + 0.5);
    update();
  });
  canvas.addEventListener("focus", update);
  canvas.addEventListener("blur", () => {
    cursor.isDown = false;
    update();
  });
}

// A digit drawn with large cells, one of which can be marked.
function paintCells(canvas, levels) {
  canvas.width = SIDE * DRAW_CELL;
  canvas.height = SIDE * DRAW_CELL;
  const context = canvas.getContext("2d");
  levels.forEach((level, pixel) => {
    context.fillStyle = `rgb(${level} ${level} ${level})`;
    const [x, y] = [(pixel % SIDE) * DRAW_CELL, Math.floor(pixel / SIDE) * DRAW_CELL];
    context.fillRect(x, y, DRAW_CELL, DRAW_CELL);
  });
  return context;
}

function paintDrawing(canvas, drawing) {
  const context = paintCells(canvas, drawing.levels);
  if (canvas.matches(":focus-visible")) {
    const { row, column, isDown } = drawing.cursor;
    markPixel(context, row * SIDE + column, DRAW_CELL, isDown);
  }
}

function addProbabilityRows(list, outputs) {
  return Array.from({ length: outputs }, (_, digit) => {
    const bar = element("span", { class: "bar" });
    const number = element("span", { class: "number" });
    const row = element("li", {}, element("span", { class: "digit" }, String(digit)), bar, number);
    list.append(row);
    return { row, bar, number };
  });
}

function showProbabilities(rows, shares) {
  const best = Math.max(...shares);
  rows.forEach(({ row, bar, number }, digit) => {
    row.classList.toggle("best", shares[digit] === best);
    bar.style.setProperty("--share", shares[digit]);
    number.textContent = `${(100 * shares[digit]).toFixed(1)} %`;
  });
}
