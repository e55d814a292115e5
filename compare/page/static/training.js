// Training: the curves of all implementations, and their differences.

function startTraining(data) {
  const section = document.getElementById("training");
  const names = Object.keys(data.epochs);
  addLossChart(section.querySelector(".loss-chart"), data, names);
  addAccuracyChart(section.querySelector(".accuracy-chart"), data, names);
  addDifferenceChart(section.querySelector(".difference-chart"), data, names);
}

// The first line is wide, so that a coinciding one is visible on it.
const widthOf = (index) => (index === 0 ? 5 : 1.75);
const dotOf = (index) => (index === 0 ? 13 : 6);

function dotsOf(name, index, label) {
  const color = colorOf(accentOf(name));
  const paper = colorOf("var(--card)");
  const points = { show: true, size: dotOf(index), width: 1.5, fill: color, stroke: paper };
  return lineOf(name, label, { width: 0, paths: () => null, points, class: "dots" });
}

const EPOCH_AXIS = { label: "epoch", size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] };
// With room at both ends, so that dots are not cut.
const epochScale = {
  time: false,
  range: (_, low, high) => [low - 0.03 * (high - low) - 0.02, high + 0.03 * (high - low) + 0.02],
};
const sayX = (_, x) => (x === null || x === undefined ? "" : say(x));

function joined(columns) {
  return uPlot.join(columns);
}

function addLossChart(place, data, names) {
  const epochs = names.map((name) => [data.epochs[name].epoch, data.epochs[name].val_loss]);
  const steps = data.steps
    ? [[data.steps.x, ...names.map((name) => data.steps.losses[name] ?? data.steps.x.map(() => null))]]
    : names.map((name) => [data.epochs[name].epoch, data.epochs[name].train_loss]);
  const last = names.map((name) => `${nameOf(name)} ${say(data.epochs[name].val_loss.at(-1), 4)}`);
  addChart(place, {
    label: `Loss in nats: training as a line, validation as dots. At the end: ${last.join(", ")}.`,
    height: 280,
    data: joined([...steps, ...epochs]),
    make: () => ({
      series: {
        x: "epoch",
        sayX,
        lines: [
          ...names.map((name, i) => lineOf(name, `${nameOf(name)}, training`, { width: widthOf(i) })),
          ...names.map((name, i) => dotsOf(name, i, `${nameOf(name)}, validation`)),
        ],
      },
      scales: { x: epochScale },
      axes: [EPOCH_AXIS, { label: "loss (nats)" }],
    }),
  });
}

function addAccuracyChart(place, data, names) {
  const percent = (values) => values.map((value) => (value === null ? null : 100 * value));
  const columns = names.map((name) => {
    const { epoch, train_accuracy: train, val_accuracy: val } = data.epochs[name];
    return [epoch, percent(train), percent(val)];
  });
  const last = names.map((name) => `${nameOf(name)} ${sayPercent(data.epochs[name].val_accuracy.at(-1))}`);
  addChart(place, {
    label: `Accuracy in percent: training as a dashed line, validation as dots. At the end: ${last.join(", ")}.`,
    height: 280,
    data: joined(columns),
    make: () => ({
      series: {
        x: "epoch",
        sayX,
        lines: names.flatMap((name, i) => [
          lineOf(name, `${nameOf(name)}, training`, { width: widthOf(i), dash: i ? [6, 4] : undefined }),
          dotsOf(name, i, `${nameOf(name)}, validation`),
        ]),
      },
      scales: { x: epochScale },
      axes: [EPOCH_AXIS, { label: "accuracy (%)" }],
    }),
  });
}

// Of every other implementation from the first: of each step or, if those are not kept, epoch.
function addDifferenceChart(place, data, names) {
  const [first, ...others] = names;
  if (!others.length) {
    place.closest("figure").hidden = true;
    return;
  }
  const apart = (name) =>
    data.epochs[name].train_loss.map((loss, i) => Math.abs(loss - data.epochs[first].train_loss[i]));
  const measured = others.map((name) => data.steps?.differences[name] ?? apart(name));
  // A log axis cannot show 0.
  const shown = measured.map((values) => values.map((value) => (value > 0 ? value : null)));
  const largest = measured.map((values) => Math.max(...values));
  const said = others.map((name, i) => `${nameOf(name)} ${say(largest[i])}`).join(", ");
  if (largest.every((value) => value === 0)) {
    place.replaceChildren(element("p", {}, "No difference: the losses are the same, bit for bit."));
    return;
  }
  addChart(place, {
    label: `Difference of the loss from ${nameOf(first)}'s, on a log axis. The largest: ${said} nats.`,
    height: 280,
    data: [data.steps ? data.steps.x : data.epochs[first].epoch, ...shown],
    make: () => ({
      series: {
        x: "epoch",
        sayX,
        lines: others.map((name) =>
          lineOf(name, `|${nameOf(name)} − ${nameOf(first)}|`, { width: 1.25 }),
        ),
      },
      scales: { x: epochScale, y: { distr: 3 } },
      axes: [EPOCH_AXIS, { ...logAxis({ label: "difference (nats)", size: 64 }) }],
    }),
  });
}
