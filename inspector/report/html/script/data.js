// What the page knows of each connection. A row is a connection's place in the columns; times are nanoseconds since the
// first packet.

const data = JSON.parse(document.getElementById("data").textContent);
const strings = data.strings;
const connections = data.connections;
const exchanges = data.exchanges;
const marks = data.marks;
const total = connections.id ? connections.id.length : 0;

const allRows = Array.from({ length: total }, (_, row) => row);

const CLIENT = 0;
const SIDES = ["client", "server"];
const RACES = ["", "sent after the close had arrived", "crossed the close: never acknowledged"];

// Where the exchanges of a row begin; those of the next one end them.
const exchangesFrom = new Uint32Array(total + 1);
for (let row = 0; row < total; row++) exchangesFrom[row + 1] = exchangesFrom[row] + exchanges.told[row];

const marksOf = new Map();
marks.row.forEach((row, place) => {
  if (!marksOf.has(row)) marksOf.set(row, []);
  marksOf.get(row).push(place);
});

const storyOf = new Map();
let lineFrom = 0;
data.stories.row.forEach((row, place) => {
  storyOf.set(row, { from: lineFrom, to: lineFrom + data.stories.lines[place], below: data.stories.below[place] });
  lineFrom += data.stories.lines[place];
});

// Of each finding: its rows, and one byte a row.
const findings = data.findings.map((finding) => {
  const members = new Uint8Array(total);
  for (let i = 0; i < finding.rows.length; i += 2) {
    members.fill(1, finding.rows[i], finding.rows[i] + finding.rows[i + 1]);
  }
  return { code: strings[finding.code], title: strings[finding.title], members };
});

function address(ip, port) {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function clientOf(row) {
  return address(strings[connections.client[row]], connections.port[row]);
}

function serverOf(row) {
  return strings[data.servers.label[connections.server[row]]];
}

function nameOf(row) {
  const name = connections.name[row];
  return name === null ? "" : strings[name];
}

function protocolOf(row) {
  return strings[connections.protocol[row]];
}

function openingOf(row) {
  return strings[connections.opened[row]];
}

function isClosed(row) {
  return connections.by[row] !== null;
}

// Who closed and how, in words.
function closingOf(row) {
  return isClosed(row) ? strings[connections.closing[row]] : wasOpen(row) ? "still open" : UNKNOWN;
}

// Whether both sides ever agreed on it.
function wasOpen(row) {
  return !["unanswered", "half-open"].includes(openingOf(row));
}

// To where it lived: the first FIN or RST, or the end of the capture. Clocks that were set back do not turn it round.
function closeOf(row) {
  if (isClosed(row)) return Math.max(connections.start[row], connections.at[row]);
  return wasOpen(row) ? Math.max(data.span, connections.end[row]) : connections.end[row];
}

// To its last packet, as all reports have it.
function durationOf(row) {
  return connections.end[row] - connections.start[row];
}

function requestsOf(row) {
  if (connections.requests[row] !== null) return count(connections.requests[row]);
  return connections.estimate[row] === null ? UNKNOWN : "~" + count(connections.estimate[row]);
}

// The exchange's label with what came back.
function exchangeText(place) {
  const status = exchanges.status[place];
  const stream = exchanges.stream[place];
  const label = strings[exchanges.label[place]] + (stream === null ? "" : `  #${stream}`);
  return `${label} → ${exchanges.respond[place] === null ? "no response" : status === null ? "?" : status}`;
}

// A Wireshark display filter for one connection: by stream number where there is one file, else by both ends.
function filterOf(row) {
  if (data.single) return `tcp.stream == ${connections.id[row]}`;
  const server = connections.server[row];
  const ends = [
    [strings[connections.client[row]], connections.port[row]],
    [strings[data.servers.ip[server]], data.servers.port[server]],
  ];
  return ends
    .map(([ip, port]) => `${ip.includes(":") ? "ipv6" : "ip"}.addr == ${ip} && tcp.port == ${port}`)
    .join(" && ");
}

// All that a filter looks at, in lower case; made when somebody filters.
const texts = new Array(total);
function textOf(row) {
  if (texts[row] === undefined) {
    const labels = new Set();
    for (let place = exchangesFrom[row]; place < exchangesFrom[row + 1]; place++) labels.add(exchanges.label[place]);
    texts[row] = [
      `#${connections.id[row]}`,
      clientOf(row),
      serverOf(row),
      nameOf(row),
      protocolOf(row),
      openingOf(row),
      closingOf(row),
      strings[connections.state[row]],
      ...findings.filter((finding) => finding.members[row]).map((finding) => finding.code),
      ...[...labels].map((label) => strings[label]),
    ]
      .join(" ")
      .toLowerCase();
  }
  return texts[row];
}
