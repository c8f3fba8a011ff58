// Waiting without guessing: conditions are polled, never slept for.
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

// Calls check until it gives something truthy, and returns that. Errors count
// as "not yet". what names the thing waited for in the failure.
export async function waitFor(what, check, { timeout = 5000, every = 20 } = {}) {
  const end = Date.now() + timeout;
  let last;
  for (;;) {
    try {
      const value = await check();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) {
      throw new Error(`waited ${timeout} ms for ${what}`, { cause: last });
    }
    await sleep(every);
  }
}
