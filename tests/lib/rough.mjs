// A TCP proxy that misbehaves as it is told, for tests of a bad network.
//
// For each connection it asks plan(number) what shall go wrong:
//   { up: way, down: way }      up is from the client to the server
// where a way has any of
//   after  bytes to pass before it happens (never)
//   then   what happens: 'close' both sides in order, 'reset' both, 'half':
//          end this direction only, 'stall': pass nothing more in either
//          direction and keep both sides open, whoever leaves
//   delay  milliseconds to wait before each piece
//   piece  most bytes to pass at once
//   rate   most bytes to pass in a second
import net from 'node:net';

import { sleep } from './wait.mjs';

export class RoughProxy {
  static async start(port, plan = () => ({})) {
    const proxy = new RoughProxy(port, plan);
    await new Promise((resolve, reject) => {
      proxy.server.once('error', reject);
      proxy.server.listen(0, '127.0.0.1', resolve);
    });
    proxy.port = proxy.server.address().port;
    return proxy;
  }

  constructor(port, plan) {
    this.links = []; // all connections so far, in order
    this.server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.links.push(new Link(client, port, plan(this.links.length)));
    });
  }

  // Connections to which it happened.
  get misfortunes() {
    return this.links.filter(({ happened }) => happened).length;
  }

  // Bytes that went through in that direction ('up' or 'down').
  passed(direction) {
    return this.links.reduce((sum, link) => sum + link[direction].passed, 0);
  }

  close() {
    this.server.close();
    this.links.forEach((link) => link.destroy());
  }
}

// One connection. up and down count bytes: read from one side, passed to the
// other (taken by the kernel). happened: 'up close' and the like, or null.
class Link {
  constructor(client, port, plan) {
    this.up = { read: 0, passed: 0 };
    this.down = { read: 0, passed: 0 };
    this.happened = null;
    this.stopped = false;
    this.client = client;
    this.server = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.over = Promise.all([
      this.#pass('up', client, this.server, plan.up),
      this.#pass('down', this.server, client, plan.down),
    ]);
  }

  async #pass(direction, from, to, way = {}) {
    from.on('error', () => {}); // the iterator tells
    try {
      await this.#forward(direction, from, to, way);
    } catch {
      if (!this.stopped) this.#reset();
    }
  }

  async #forward(direction, from, to, way) {
    const { after = Infinity, then = 'close', delay = 0, piece = Infinity, rate = Infinity } = way;
    const count = this[direction];
    const started = performance.now();
    const left = () => after - count.passed;
    for await (const data of from.iterator({ destroyOnReturn: false })) {
      count.read += data.length;
      for (let at = 0, size; at < data.length && left() > 0; at += size) {
        size = Math.min(piece, data.length - at, left());
        if (delay > 0) await sleep(delay);
        if (this.stopped) return;
        await write(to, data.subarray(at, at + size));
        count.passed += size;
        const early = count.passed / rate * 1000 - (performance.now() - started);
        if (early > 2) await sleep(early);
      }
      if (this.stopped) return;
      if (left() <= 0) {
        this.#happen(direction, then);
        return;
      }
    }
    to.end();
  }

  #happen(direction, what) {
    this.happened = `${direction} ${what}`;
    if (what === 'half') {
      (direction === 'up' ? this.server : this.client).end();
      return;
    }
    this.stopped = true;
    if (what === 'reset') this.#reset();
    if (what === 'close') {
      this.client.destroySoon();
      this.server.destroySoon();
    }
  }

  #reset() {
    this.stopped = true;
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }

  destroy() {
    this.stopped = true;
    this.client.destroy();
    this.server.destroy();
  }
}

const write = (socket, data) => new Promise((resolve, reject) => {
  socket.write(data, (error) => (error ? reject(error) : resolve()));
});
