// Speed: a small chart for each form of attention, all on the same axes.

function startSpeed(data) {
  const section = document.getElementById("speed");
  const phases = [...new Set(data.rows.map((row) => row.phase))];
  const drawn = new Map();
  const show = (phase) => {
    for (const [name, figure] of drawn) figure.hidden = name !== phase;
    if (!drawn.has(phase)) drawn.set(phase, addSpeedCharts(section, data, phase));
    drawn.get(phase).hidden = false;
    for (const swatch of section.querySelectorAll(".swatch")) {
      swatch.hidden = !data.rows.some((row) => row.phase === phase && row.implementation === swatch.dataset.of);
    }
  };
  section.querySelectorAll("input[name=phase]").forEach((input) => {
    input.closest("label").hidden = !phases.includes(input.value);
    input.addEventListener("change", () => show(input.value));
  });
  const first = phases.includes("step") ? "step" : phases[0];
  section.querySelector(`input[name=phase][value=${first}]`).checked = true;
  show(first);
}

function addSpeedCharts(section, data, phase) {
  const place = element("div", { class: "multiples" });
  section.querySelector(".speed-charts").append(place);
  const rows = data.rows.filter((row) => row.phase === phase);
  const times = rangeOf(rows.map((row) => row.ms_per_sample));
  const range = [times.low / 2, times.high * 2];
  for (const form of data.forms) {
    const mine = rows.filter((row) => row.form === form);
    if (mine.length) addSpeedChart(place, form, mine, range);
  }
  return place;
}

function addSpeedChart(place, form, rows, range) {
  const names = [...new Set(rows.map((row) => row.implementation))];
  const sizes = [...new Set(rows.map((row) => row.batch_size))].sort((a, b) => a - b);
  const find = (name, size) =>
    rows.find((row) => row.implementation === name && row.batch_size === size)?.ms_per_sample ?? null;
  const series = names.map((name) => sizes.map((size) => find(name, size)));
  const said = names.map((name, i) => `${nameOf(name)} ${series[i].map((ms) => say(ms)).join(", ")}`);
  const holder = element("div", {});
  place.append(element("figure", {}, element("figcaption", {}, form), holder));
  addChart(holder, {
    label:
      `${form}: milliseconds per sample at batch ${sizes.join(", ")}: ${said.join("; ")}.`,
    height: 220,
    legend: false,
    data: [sizes, ...series],
    make: () => ({
      series: {
        lines: names.map((name) => ({
          ...lineOf(name, nameOf(name)),
          points: { show: true, size: 7, fill: colorOf(accentOf(name)), stroke: colorOf("var(--card)") },
        })),
      },
      scales: {
        x: { time: false, distr: 3, log: 2, range: [sizes[0] / 1.5, sizes.at(-1) * 1.5] },
        y: { distr: 3, range },
      },
      axes: [
        {
          splits: () => sizes,
          filter: (_, splits) => splits,
          values: (_, splits) => splits.map(String),
          size: 30,
          label: "images per batch",
        },
        logAxis({ label: "ms per sample", size: 48 }),
      ],
    }),
  });
}
