// What makes a test file run on every front server: how often it repeats things,
// what the server lets through, and which tests it cannot pass by its nature.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { fits, ofFeature, ofTests } from './exceptions.mjs';
import { standard } from './servers.mjs';

// The full number of rounds, kills, cuts or bytes for one server, a tenth for
// the others: what chance finds in slipway, it finds behind any of them.
export const rounds = (full) => (standard === 'lighttpd' ? full : Math.ceil(full / 10));

// What is seen of a feature that the server does not have at its best.
export const seen = (feature) => ofFeature(standard, feature)?.seen;

// Milliseconds that a short request may take while others last. When all its
// processes are at work, mod_fcgid waits for a second before it starts another.
export const PATIENCE = standard === 'apache-fcgid' ? 4000 : 1000;

// Does a sender hear at once that slipway is done with its upload; goesOn: while
// it sends more?
export const hears = (goesOn) => (goesOn
  ? [undefined, 'with more bytes'] : [undefined]).includes(seen('a cancelled sender hears of it'));

// Does slipway hear of a request only when its whole body has arrived?
export const gathers = seen('progress while the bytes arrive') === 'at the end';

// node's test for the file with this import.meta.url: what is an exception is
// skipped, with the reason.
export function testsOf(url) {
  const file = path.basename(fileURLToPath(url));
  const entries = ofTests(standard, file);
  const unused = new Set(entries.flatMap(({ tests }) => tests[file]));
  after(() => assert.deepEqual([...unused], [], 'exceptions for tests that there are not'));
  const unlessExcepted = (name, ...rest) => {
    const body = rest.pop();
    let skip = false;
    for (const { tests, why } of entries) {
      for (const pattern of tests[file].filter((one) => fits(one, name))) {
        unused.delete(pattern);
        skip = why;
      }
    }
    return test(name, { skip, ...rest[0] }, body);
  };
  return Object.assign(unlessExcepted, { after });
}
