// Numbers for people, written as the other reports write them (report/units.py); and elements, made without markup.

const UNKNOWN = "–";

function count(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

function plural(number, noun, nouns) {
  return count(number) + " " + (number === 1 ? noun : nouns || noun + "s");
}

// Below so many nanoseconds: the unit's nanoseconds, its name, decimals.
const LADDER = [
  [9950, 1e3, "µs", 1],
  [9995000, 1e6, "ms", 2],
  [99950000, 1e6, "ms", 1],
  [999500000, 1e6, "ms", 0],
  [9995000000, 1e9, "s", 2],
  [59950000000, 1e9, "s", 1],
];
const LONG = [
  [86400, 3600, "d", "h"],
  [3600, 60, "h", "min"],
  [60, 1, "min", "s"],
];

function duration(ns) {
  if (ns === null) return UNKNOWN;
  if (ns <= 0) return ns === 0 ? "0 s" : "-" + duration(-ns);
  for (const [limit, unit, name, decimals] of LADDER) {
    if (ns < limit) return (ns / unit).toFixed(decimals) + " " + name;
  }
  const seconds = Math.round(ns / 1e9);
  const [large, small, largeName, smallName] = LONG.find((row) => seconds >= row[0]);
  const whole = Math.floor(seconds / large);
  return `${count(whole)} ${largeName} ${Math.floor((seconds % large) / small)} ${smallName}`;
}

// A time since the first packet, in seconds to the microsecond, grouped: "7.003 214".
function sinceStart(ns) {
  const micros = Math.round(Math.abs(ns) / 1e3);
  const fraction = String(micros % 1e6).padStart(6, "0");
  return `${ns < 0 ? "-" : ""}${count(Math.floor(micros / 1e6))}.${fraction.slice(0, 3)} ${fraction.slice(3)}`;
}

// A step of 1, 2 or 5 times a power of ten, of minutes or of hours, of which about `most` fit into `span`.
function niceStep(span, most) {
  const least = span / most;
  for (const step of [60e9, 120e9, 300e9, 600e9, 1800e9, 3600e9, 7200e9, 21600e9, 43200e9, 86400e9]) {
    if (least > 30e9 && step >= least) return step;
  }
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least);
}

// The text of a tick, as exact as its step needs.
function tickText(ns, step) {
  if (ns === 0) return "0";
  if (step >= 60e9) return duration(ns).replace(/ 0 (s|min|h)$/, "");
  const [unit, name] = step >= 1e8 ? [1e9, "s"] : step >= 1e5 ? [1e6, "ms"] : [1e3, "µs"];
  const decimals = Math.max(0, Math.min(3, -Math.floor(Math.log10(step / unit) + 1e-9)));
  const [whole, fraction] = (ns / unit).toFixed(decimals).split(".");
  return `${whole.replace(/\B(?=(\d{3})+$)/g, ",")}${fraction ? "." + fraction : ""} ${name}`;
}

// The place that is so many steps further in a list; from nowhere, its beginning or its end.
function stepped(length, place, by) {
  const from = place < 0 ? (by === Infinity ? 0 : -by) : place;
  return Math.max(0, Math.min(length - 1, from + by));
}

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content.filter((part) => part !== null));
  return made;
}

function button(className, text, act) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}
