// Where each connection stands: grouped by server, a lane a connection; of many to one server, several share a lane,
// one after the other, so that thousands are seen at once.

const LANE = 18;
const HEAD = 24;
const RULER = 24;
// A server with more connections than this has them packed.
const OWN_LANES = 100;
// Lanes of a server from which on there is no air in them.
const AIRY = 40;

function arranged(rows) {
  const byServer = new Map();
  for (const row of rows) {
    const server = connections.server[row];
    if (!byServer.has(server)) byServer.set(server, []);
    byServer.get(server).push(row);
  }
  const groups = [];
  let top = RULER;
  for (const server of [...byServer.keys()].sort((a, b) => a - b)) {
    const members = byServer.get(server);
    const isPacked = members.length > OWN_LANES;
    members.sort((a, b) => connections.start[a] - connections.start[b] || a - b);
    const lanes = isPacked ? packed(members) : members.map((row) => [row]);
    groups.push({ server, lanes, isPacked, size: members.length, top });
    top += HEAD + lanes.length * LANE + 6;
  }
  return { groups, height: top, places: placesOf(groups) };
}

// Which lane of which group a row is in.
function placesOf(groups) {
  const places = new Map();
  for (const group of groups) {
    group.lanes.forEach((lane, number) => {
      for (const row of lane) places.set(row, [group, number]);
    });
  }
  return places;
}

// Lanes of rows that do not overlap, with a little air between two, unless that takes too much room.
function packed(members) {
  const lanes = withAir(members, data.span / 500);
  return lanes.length > AIRY ? withAir(members, 0) : lanes;
}

// Each row goes where room became free first.
function withAir(members, air) {
  const lanes = [];
  const heap = [];
  for (const row of members) {
    let lane;
    if (heap.length && heap[0][0] <= connections.start[row]) {
      lane = heap[0][1];
    } else {
      lane = [];
      lanes.push(lane);
      heap.push([-Infinity, lane]);
      rise(heap, heap.length - 1);
    }
    lane.push(row);
    heap[0][0] = Math.max(closeOf(row), connections.end[row]) + air;
    sink(heap);
  }
  return lanes;
}

function rise(heap, at) {
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (heap[above][0] <= heap[at][0]) return;
    [heap[above], heap[at]] = [heap[at], heap[above]];
    at = above;
  }
}

function sink(heap) {
  for (let at = 0; ; ) {
    let least = at;
    for (const below of [2 * at + 1, 2 * at + 2]) {
      if (below < heap.length && heap[below][0] < heap[least][0]) least = below;
    }
    if (least === at) return;
    [heap[least], heap[at]] = [heap[at], heap[least]];
    at = least;
  }
}

// Exchanges of one connection that run at the same time, as HTTP/2 has them, are set one above the other, at most so many.
const TRACKS = 3;
const tracks = new Map();

// Of a row: how many tracks it has, and the track of each of its exchanges.
function tracksOf(row) {
  if (!tracks.has(row)) tracks.set(row, laid(exchangesFrom[row], exchangesFrom[row + 1]));
  return tracks.get(row);
}

function laid(first, last) {
  const numbers = new Uint8Array(last - first);
  const ends = [];
  for (let place = first; place < last; place++) {
    const begin = exchanges.begin[place];
    let track = ends.findIndex((end) => end <= begin);
    if (track < 0) track = ends.length < TRACKS ? ends.length : ends.indexOf(Math.min(...ends));
    ends[track] = Math.max(ends[track] || 0, begin + exchanges.finish[place]);
    numbers[place - first] = track;
  }
  return { count: Math.max(1, ends.length), numbers };
}

// The place in a lane of the last row that began by then; -1 where none had.
function lastBegun(lane, time) {
  let low = 0;
  let high = lane.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (connections.start[lane[middle]] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// The lane at a height; null in a head or between groups.
function laneAt(layout, y) {
  const group = layout.groups.findLast((one) => one.top <= y);
  if (!group) return null;
  const number = Math.floor((y - group.top - HEAD) / LANE);
  return number >= 0 && number < group.lanes.length ? group.lanes[number] : null;
}
