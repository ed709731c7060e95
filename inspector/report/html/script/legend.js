// What the marks mean: each that occurs on this page, and no other, as the picture draws it.

function drawSwatch(context, protocol, x, y) {
  context.fillStyle = protocolColour(protocol);
  context.fillRect(x - 7, y - 1, 22, 2);
  context.fillRect(x - 3, y - 5, 10, 10);
}

// The curve of the strip above the picture, in its frame.
function drawStrip(context, x, y) {
  context.fillStyle = colours.quiet;
  [2, 5, 9, 9, 6, 3].forEach((tall, step) => context.fillRect(x - 8 + 4 * step, y + 6 - tall, 4, tall));
  context.strokeStyle = colours.accent;
  context.lineWidth = 1.5;
  context.strokeRect(x - 10, y - 7, 28, 14);
}

function legendEntries(rows) {
  const protocols = [...new Set(connections.protocol)].map((number) => strings[number]);
  return [
    ...protocols.map((name) => [
      name === "tls" ? "tls, not decrypted" : name === "none" ? "nothing sent" : name,
      (context, x, y) => drawSwatch(context, name, x, y),
    ]),
    ...lineEntries(rows, protocolColour(protocols[0])),
    ...markEntries(rows),
    ["strip above: how many were open; framed: the part below", drawStrip],
  ];
}

// What lines and boxes are; all protocols have them, so that they are drawn in the colour of one.
function lineEntries(rows, colour) {
  const entries = [];
  const add = (text, draw) =>
    entries.push([
      text,
      (context, x, y) => {
        context.fillStyle = colour;
        draw(context, x, y);
      },
    ]);
  if (exchanges.label.length) {
    const isPale = exchanges.respond.some((respond) => respond > 0);
    const pale = isPale ? ", pale until its response began" : "";
    add(`request under way${pale}`, (c, x, y) => drawBox(c, x - 8, x + 16, y - BOX / 2, BOX, isPale ? x + 6 : x - 8));
  }
  if (rows.some((row) => tracksOf(row).count > 1)) {
    add("requests at the same time", (c, x, y) => {
      drawBox(c, x - 8, x + 10, y - 6, 6, x - 8);
      drawBox(c, x - 3, x + 16, y + 1, 6, x - 3);
    });
  }
  const isUnknown = rows.some((row) => connections.requests[row] === null);
  const line = isUnknown ? "open, no request seen" : "no request under way: handshakes, later idle";
  add(line, (c, x, y) => c.fillRect(x - 8, y - 1, 24, 2));
  const isTicked = (row) => openingOf(row) !== "mid-stream";
  if (rows.some(isTicked)) {
    add("first packet: the handshake begins", (c, x, y) => {
      drawOpening(c, x, y);
      c.fillRect(x, y - 1, 12, 2);
    });
  }
  if (!rows.every(isTicked)) add("without a tick: open before the capture", (c, x, y) => c.fillRect(x, y - 1, 12, 2));
  if (rows.some((row) => isClosed(row) && connections.end[row] > closeOf(row))) {
    add("after the close, until the last packet", (c, x, y) => drawTail(c, x - 8, x + 14, y));
  }
  if (arranged(rows).groups.some((group) => group.isPacked)) {
    add("a whole connection, too short for more", (c, x, y) => c.fillRect(x + 2, y - BOX / 2, 2, BOX));
  }
  return entries;
}

// Who closed and how; what was said and met before.
function markEntries(rows) {
  const entries = [];
  const closes = new Set();
  for (const row of rows) if (isClosed(row)) closes.add(connections.by[row] * 2 + connections.reset[row]);
  for (const close of [...closes].sort()) {
    const [by, reset] = [close >> 1, close & 1];
    entries.push([`closed by ${SIDES[by]}, ${reset ? "RST" : "FIN"}`, (c, x, y) => drawClose(c, by, reset, x, y)]);
  }
  const isLeft = (row) => !isClosed(row) && wasOpen(row);
  if (rows.some(isLeft)) entries.push(["not closed when the capture ended", drawOpen]);
  if (rows.some((row) => !wasOpen(row))) entries.push(["never opened: unanswered or half-open", drawUnopened]);
  const seen = new Set(marks.what.map((what, place) => `${strings[what]} ${marks.by[place]}`));
  for (const mark of [...seen].sort()) {
    const [what, by] = [mark.slice(0, -2), Number(mark.slice(-1))];
    const draw = what === "ping" ? drawPing : drawGoaway;
    entries.push([`${what.toUpperCase()} by ${SIDES[by]}`, (c, x, y) => draw(c, by, x, y)]);
  }
  if (exchanges.race.some((race) => race)) entries.push(["request that met the close", drawRace]);
  return entries;
}

function showLegend(rows) {
  const list = document.getElementById("legend");
  list.replaceChildren();
  for (const [text, draw] of legendEntries(rows)) {
    const canvas = document.createElement("canvas");
    const context = sized(canvas, 30, 18);
    draw(context, 11, 9);
    list.append(element("li", "", canvas, text));
  }
}
