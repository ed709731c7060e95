// Distributions of the connections that are listed, where they tell something: of few values, or where all are alike, a
// line of text says it better.

const LEAST_TOLD = 3;
const LEAST_DRAWN = 10;

// The bounds of uneven bins, a logarithmic axis: 1, 2 and 5 times a power of ten, from the one below the least value to the one above the largest.
function ladder(least, most) {
  const steps = [];
  for (let power = 10 ** Math.floor(Math.log10(Math.max(least, 1))); ; power *= 10) {
    for (const factor of [1, 2, 5]) {
      steps.push(factor * power);
      if (factor * power > most) return steps.slice(Math.max(0, steps.findLastIndex((step) => step <= least)));
    }
  }
}

// Equal steps where the values are near each other, else the ladder's.
function durationBins(values) {
  const [least, most] = extent(values);
  const isEven = most <= 8 * least;
  let bounds;
  if (!isEven) {
    bounds = least < 1000 ? [0, ...ladder(1000, most)] : ladder(least, most);
  } else {
    const step = niceStep(Math.max(most - least, 1), 12);
    const first = Math.floor(least / step);
    bounds = Array.from({ length: Math.floor(most / step) - first + 2 }, (_, more) => (first + more) * step);
  }
  const bins = bounds.slice(0, -1).map((from, number) => ({
    from,
    text: from ? plainDuration(from) : "0",
    range: `${plainDuration(from)} to ${plainDuration(bounds[number + 1])}`,
  }));
  return { bins, isEven };
}

// A bound of a bin, which is a round number.
function plainDuration(ns) {
  if (ns >= 60e9) return duration(ns);
  const [unit, name] = ns >= 1e9 ? [1e9, "s"] : ns >= 1e6 ? [1e6, "ms"] : ns >= 1e3 ? [1e3, "µs"] : [1, "ns"];
  return `${Number((ns / unit).toPrecision(6))} ${name}`;
}

// A bin a number where there are few different ones.
function countBins(values) {
  const [least, most] = extent(values);
  if (most - least < 20) {
    const bins = Array.from({ length: most - least + 1 }, (_, more) => {
      const number = least + more;
      return { from: number, text: count(number), range: plural(number, "request") };
    });
    return { bins, isEven: true };
  }
  const bounds = ladder(least, most);
  const bins = [...(least === 0 ? [0] : []), ...bounds].slice(0, -1).map((from, number, all) => {
    const to = number + 1 < all.length ? all[number + 1] : bounds[bounds.length - 1];
    return { from, text: count(from), range: `${count(from)} to ${plural(to - 1, "request")}` };
  });
  return { bins, isEven: false };
}

function extent(values) {
  return values.reduce(([least, most], [value]) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
}

const DISTRIBUTIONS = [
  {
    title: "Idle at close",
    axis: "idle before the close",
    bins: durationBins,
    text: duration,
    value: (row) => (isClosed(row) ? connections.idle[row] : null),
    series: (row) => `closed by ${SIDES[connections.by[row]]}`,
  },
  {
    title: "Requests per connection",
    axis: "requests",
    bins: countBins,
    text: (value) => String(value),
    value: (row) => (openingOf(row) === "handshake" && isClosed(row) ? connections.requests[row] : null),
    series: () => "connections",
  },
  {
    title: "TCP handshake",
    axis: "time of the handshake",
    bins: durationBins,
    text: duration,
    value: (row) => connections.handshake[row],
    series: () => "connections",
  },
  {
    title: "TLS handshake",
    axis: "time of the handshake",
    bins: durationBins,
    text: duration,
    value: (row) => connections.tls[row],
    series: () => "connections",
  },
];

class Charts {
  constructor() {
    this.box = document.getElementById("charts");
    this.lines = document.getElementById("figures");
    this.drawn = [];
    new ResizeObserver(() => this.drawn.forEach((chart) => chart.resize())).observe(this.box);
  }

  show(rows) {
    this.rows = rows;
    this.drawn.forEach((chart) => chart.dispose());
    this.drawn = [];
    this.box.replaceChildren();
    this.lines.replaceChildren();
    const section = document.getElementById("distributions");
    section.hidden = false;
    for (const distribution of DISTRIBUTIONS) this.add(distribution, rows);
    section.hidden = !this.box.childElementCount && !this.lines.childElementCount;
  }

  add(distribution, rows) {
    const values = [];
    for (const row of rows) {
      const value = distribution.value(row);
      if (value !== null) values.push([value, distribution.series(row)]);
    }
    if (values.length < LEAST_TOLD) return;
    const figures = this.figures(values, distribution);
    const isDrawn = values.length >= LEAST_DRAWN && typeof echarts !== "undefined";
    const { bins: all, isEven } = isDrawn ? distribution.bins(values) : { bins: [] };
    const bins = isDrawn ? filled(all, values) : [];
    if (bins.length < 2) {
      this.lines.append(element("li", "", element("b", "", distribution.title), ` ${figures}`));
      return;
    }
    const drawing = element("div", "drawing");
    const heading = element("h3", "", distribution.title);
    const axis = element("p", "axis", distribution.axis + (isEven ? "" : ", logarithmic (1, 2, 5, 10 …)"));
    this.box.append(element("div", "chart", heading, element("p", "quiet", figures), drawing, axis));
    const drawn = echarts.init(drawing, null, { renderer: "canvas" });
    drawn.setOption(barOption(distribution.title, bins));
    this.drawn.push(drawn);
  }

  figures(values, distribution) {
    const ordered = values.map(([value]) => value).sort((a, b) => a - b);
    const last = ordered.length - 1;
    const middle = distribution.text((ordered[last >> 1] + ordered[(last + 1) >> 1]) / 2);
    const [least, most] = [distribution.text(ordered[0]), distribution.text(ordered[last])];
    const of = plural(ordered.length, "connection");
    return least === most ? `${middle} on all ${of}` : `${of}, median ${middle}, ${least} to ${most}`;
  }
}

// The bins with how many values of each series are in them; without the empty ones at both ends.
function filled(bins, values) {
  const names = [...new Set(values.map(([, name]) => name))].sort();
  for (const bin of bins) bin.counts = Object.fromEntries(names.map((name) => [name, 0]));
  for (const [value, name] of values) {
    const bin = bins.findLast((one) => one.from <= value) || bins[0];
    bin.counts[name] += 1;
  }
  const isEmpty = (bin) => Object.values(bin.counts).every((number) => !number);
  while (bins.length && isEmpty(bins[0])) bins.shift();
  while (bins.length && isEmpty(bins[bins.length - 1])) bins.pop();
  return bins;
}

function barOption(title, bins) {
  const names = Object.keys(bins[0].counts);
  const text = { color: colours.text, fontFamily: colours.font, fontSize: 12 };
  const quiet = { ...text, color: colours.quiet, fontSize: 11 };
  return {
    animation: false,
    textStyle: text,
    color: [colours["http/1.1"], colours.tls],
    aria: { enabled: true, label: { enabled: true }, decal: { show: names.length > 1 } },
    grid: { left: 8, right: 12, top: names.length > 1 ? 30 : 12, bottom: 4, containLabel: true },
    legend: { show: names.length > 1, top: 0, left: 0, textStyle: text, itemHeight: 12 },
    tooltip: {
      trigger: "axis",
      renderMode: "richText",
      axisPointer: { type: "shadow" },
      backgroundColor: colours.ground,
      borderColor: colours.quiet,
      textStyle: text,
      formatter: (bars) =>
        [bins[bars[0].dataIndex].range, ...bars.map((bar) => `${bar.seriesName}: ${count(bar.value)}`)].join("\n"),
    },
    xAxis: {
      type: "category",
      data: bins.map((bin) => bin.text),
      axisLabel: { ...quiet, hideOverlap: true },
      axisLine: { lineStyle: { color: colours.quiet } },
      axisTick: { show: false },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      axisLabel: { ...quiet, formatter: count },
      splitLine: { lineStyle: { color: colours.line } },
    },
    series: names.map((name) => ({
      name,
      type: "bar",
      stack: title,
      barCategoryGap: "12%",
      data: bins.map((bin) => bin.counts[name]),
    })),
  };
}
