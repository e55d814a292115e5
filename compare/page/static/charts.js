// Charts by uPlot, in the page's colours and font, drawn again when the theme changes.

const charts = [];

// The current colour of a custom property, which uPlot's canvas cannot look up.
function colorOf(name) {
  const probe = element("span", { style: `color: ${name}; display: none` });
  document.body.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

function withAlpha(color, alpha) {
  return color.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

// `make(colors)` returns uPlot's series, scales and axes; `label` describes the chart in words.
function addChart(place, { label, height, data, make, legend = true }) {
  const chart = { place, label, height, data, make, legend, plot: null };
  charts.push(chart);
  drawChart(chart);
  new ResizeObserver(() => {
    const width = Math.floor(place.clientWidth);
    if (chart.plot && width > 0 && width !== chart.plot.width) {
      chart.plot.setSize({ width, height });
    }
  }).observe(place);
  return chart;
}

function drawChart(chart) {
  const { place, label, height, data, make, legend } = chart;
  chart.plot?.destroy();
  const { series, scales, axes } = make();
  const options = {
    width: Math.max(Math.floor(place.clientWidth), 200),
    height,
    scales,
    series: [{ label: series.x ?? "x", value: series.sayX }, ...series.lines],
    axes: axes.map((axis) => ({ ...axisStyle(), ...axis })),
    legend: { show: legend, live: true, markers: { width: 0, fill: (u, i) => u.series[i].stroke() } },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    padding: [12, 12, 0, 0],
  };
  chart.plot = new uPlot(options, data, place);
  const drawn = place.querySelector(".u-wrap");
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", label);
}

function axisStyle() {
  const grid = { stroke: colorOf("var(--line)"), width: 1 };
  return {
    stroke: colorOf("var(--muted)"),
    font: "12px Inter, system-ui, sans-serif",
    labelFont: "12px Inter, system-ui, sans-serif",
    labelSize: 22,
    labelGap: 4,
    size: 56,
    gap: 6,
    grid,
    ticks: { ...grid, size: 4 },
    values: (_, splits) => splits.map((split) => (split === null ? "" : say(split))),
  };
}

function lineOf(implementation, label, { width = 2, dash, points = false, ...more } = {}) {
  const color = colorOf(accentOf(implementation));
  return {
    label,
    stroke: color,
    width,
    dash,
    spanGaps: true,
    points: points || { show: false },
    value: (_, value) => (value === null || value === undefined ? "" : say(value, 4)),
    ...more,
  };
}

// A log axis: only powers of ten get a number and a line.
function logAxis(more) {
  const isPower = (split) => Math.abs(Math.log10(split) - Math.round(Math.log10(split))) < 1e-9;
  const filter = (_, splits) => splits.map((split) => (isPower(split) ? split : null));
  const sayPower = (split) =>
    Math.abs(Math.log10(split)) < 3.5 ? say(split) : `1e${Math.round(Math.log10(split))}`;
  return {
    ...more,
    filter,
    grid: { ...axisStyle().grid, filter },
    ticks: { ...axisStyle().ticks, filter },
    values: (_, splits) => splits.map((split) => (split === null ? "" : sayPower(split))),
  };
}

function redrawCharts() {
  charts.forEach(drawChart);
}

// A canvas does not wait for the page's fonts.
document.fonts.load("12px Inter").then(redrawCharts);
