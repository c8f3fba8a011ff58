// FastCGI records (sections 3 and 5 of its specification), for tests of what
// no sound front server would send.

import net from 'node:net';

export const type = {
  begin: 1, abort: 2, end: 3, params: 4, stdin: 5, stdout: 6,
};
export const keepConnection = 1;

export function record(kind, content = '', { id = 1, padding = 0 } = {}) {
  const body = Buffer.from(content);
  const head = Buffer.from([1, kind, id >> 8, id & 255, body.length >> 8,
    body.length & 255, padding, 0]);
  return Buffer.concat([head, body, Buffer.alloc(padding)]);
}

function pair(name, value) {
  const size = (text) => {
    const bytes = Buffer.byteLength(text);
    const long = Buffer.alloc(4);
    long.writeUInt32BE((bytes | 0x80000000) >>> 0);
    return bytes < 128 ? Buffer.from([bytes]) : long;
  };
  return Buffer.concat([size(name), size(value), Buffer.from(name + value)]);
}

// All records of a request before its body.
export function opening(variables, { role = 1, flags = 0, id = 1 } = {}) {
  const params = Buffer.concat(Object.entries(variables).map(([n, v]) => pair(n, v)));
  return Buffer.concat([
    record(type.begin, Buffer.from([0, role, flags, 0, 0, 0, 0, 0]), { id }),
    record(type.params, params, { id }), record(type.params, '', { id }),
  ]);
}

// Sends pieces one after the other and gives all records that come back until
// the other side closes: [{ kind, content }].
export async function talk(socketPath, ...pieces) {
  const socket = net.connect(socketPath);
  const chunks = [];
  const closed = new Promise((resolve) => {
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
  for (const piece of pieces) {
    if (typeof piece === 'function') await piece(socket);
    else socket.write(piece);
  }
  await closed;
  return records(Buffer.concat(chunks));
}

function records(bytes) {
  const list = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 4);
    list.push({
      kind: bytes[at + 1],
      content: bytes.subarray(at + 8, at + 8 + length).toString('latin1'),
    });
    at += 8 + length + bytes[at + 6];
  }
  return list;
}

export const output = (list) => list.filter(({ kind }) => kind === type.stdout)
  .map(({ content }) => content).join('');
export const ends = (list) => list.filter(({ kind }) => kind === type.end).length;
