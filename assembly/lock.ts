/**
 * The lock of a producer's accumulators and of what it is about to publish: its statistics version, odd while somebody
 * holds it. Next to nobody ever waits: the producer's own thread takes it, and whoever copies the accumulators or
 * publishes for a thread that does not get to it. A thread that died while it published leaves its version odd; only
 * somebody who knows that goes on without the lock.
 *
 * Waiting is done outside: V8 (Node 20) compiles code after a wait in this module to wrong addresses.
 */

/** The lock is held for about a microsecond, so it is worth spinning for. */
const SPINS: i32 = 1 << 12;

/** @returns false when it is held for longer than that: the caller sleeps, outside, and tries again */
@inline
export function lock(version: i32): bool {
  for (let spins = 0; spins < SPINS; spins++) {
    if (tryLock(version)) return true;
  }
  return false;
}

@inline
function tryLock(version: i32): bool {
  const seen = atomic.load<i32>(version);
  return (seen & 1) == 0 && atomic.cmpxchg<i32>(version, seen, seen + 1) == seen;
}

@inline
export function unlock(version: i32): void {
  atomic.add<i32>(version, 1);
}
