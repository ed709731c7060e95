// Colours by protocol, and marks that differ in shape: who closed, and how, is told without colour.

const PROTOCOLS = {
  "http/1.0": "--http10",
  "http/1.1": "--http11",
  h2: "--h2",
  h2c: "--h2c",
  websocket: "--websocket",
  tls: "--tls",
};

let colours = {};

// Colours of the scheme that is on: they change with it, and on paper.
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  colours = {
    ground: read("--ground"),
    text: read("--text"),
    quiet: read("--quiet"),
    line: read("--line"),
    shade: read("--shade"),
    accent: read("--accent"),
    race: read("--race"),
    other: read("--other"),
    font: getComputedStyle(document.body).fontFamily,
  };
  for (const [protocol, name] of Object.entries(PROTOCOLS)) colours[protocol] = read(name);
}

function protocolColour(protocol) {
  return colours[protocol] || colours.other;
}

// How far a mark reaches to each side.
const MARK = 4.5;

function path(context, ...points) {
  context.beginPath();
  points.forEach(([x, y], place) => (place ? context.lineTo(x, y) : context.moveTo(x, y)));
}

// The outline of who did it: a circle for the client, a square for the server.
function outline(context, by, x, y) {
  context.beginPath();
  if (by === CLIENT) context.arc(x, y, MARK, 0, 2 * Math.PI);
  else context.rect(x - MARK + 0.5, y - MARK + 0.5, 2 * MARK - 1, 2 * MARK - 1);
}

// A FIN fills its outline, a RST crosses it.
function drawClose(context, by, reset, x, y) {
  context.lineWidth = 1.5;
  context.strokeStyle = colours.text;
  outline(context, by, x, y);
  context.fillStyle = reset ? colours.ground : colours.text;
  context.fill();
  context.stroke();
  if (!reset) return;
  const arm = MARK - 2;
  path(context, [x - arm, y - arm], [x + arm, y + arm]);
  context.moveTo(x + arm, y - arm);
  context.lineTo(x - arm, y + arm);
  context.stroke();
}

// A diamond: filled where the server says it.
function drawGoaway(context, by, x, y) {
  path(context, [x, y - MARK - 1], [x + MARK + 1, y], [x, y + MARK + 1], [x - MARK - 1, y]);
  context.closePath();
  context.lineWidth = 1.5;
  context.strokeStyle = colours.text;
  context.fillStyle = by === CLIENT ? colours.ground : colours.text;
  context.fill();
  context.stroke();
}

// A tick above the line by the client, below it by the server.
function drawPing(context, by, x, y) {
  path(context, [x, y], [x, by === CLIENT ? y - 9 : y + 9]);
  context.lineWidth = 2;
  context.strokeStyle = colours.text;
  context.stroke();
}

// A triangle with an exclamation mark's stroke.
function drawRace(context, x, y) {
  path(context, [x, y - 7], [x + 6.5, y + 5], [x - 6.5, y + 5]);
  context.closePath();
  context.lineWidth = 1.5;
  context.fillStyle = colours.ground;
  context.strokeStyle = colours.race;
  context.fill();
  context.stroke();
  context.fillStyle = colours.race;
  context.fillRect(x - 0.75, y - 3, 1.5, 4);
  context.fillRect(x - 0.75, y + 2, 1.5, 1.5);
}

// Open when the capture ended: an arrow that goes on.
function drawOpen(context, x, y) {
  path(context, [x - 5, y - 4], [x, y], [x - 5, y + 4]);
  context.lineWidth = 1.5;
  context.strokeStyle = colours.text;
  context.stroke();
}

// Never opened: nobody answered, or the handshake was not completed.
function drawUnopened(context, x, y) {
  context.font = `700 13px ${colours.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colours.text;
  context.fillText("?", x + 3, y + 0.5);
}

// The least width of an exchange's box, and the width from which on it has an edge.
const LEAST_BOX = 3;
const EDGED_BOX = 8;

// An exchange, in the colour that is set; what of it was before its response began is lighter.
function drawBox(context, from, to, top, tall, responded) {
  const width = Math.max(LEAST_BOX, to - from);
  context.fillRect(from, top, width, tall);
  if (width <= EDGED_BOX) return;
  const [alpha, colour] = [context.globalAlpha, context.fillStyle];
  if (responded - from >= 1) {
    context.globalAlpha = 0.45 * alpha;
    context.fillStyle = colours.ground;
    context.fillRect(from + 1, top + 1, responded - from - 1, tall - 2);
    context.globalAlpha = alpha;
    context.fillStyle = colour;
  }
  context.strokeStyle = colours.ground;
  context.lineWidth = 1;
  context.strokeRect(from - 0.5, top - 0.5, width + 1, tall + 1);
}

// Where a connection was opened.
function drawOpening(context, x, y) {
  context.fillRect(x - 0.5, y - 4, 1, 8);
}

// From the close of one side to the last packet.
function drawTail(context, from, to, y) {
  for (let at = from; at < to; at += 5) context.fillRect(at, y - 0.5, 2, 1);
}

// The canvas in so many CSS pixels, sharp on every screen; its context, cleared.
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
