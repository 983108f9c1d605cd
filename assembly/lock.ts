/**
 * The lock of a producer's accumulators and of what it is about to publish: its statistics version, odd while somebody
 * holds it. Next to nobody ever waits: the producer's own thread takes it, and whoever copies the accumulators or
 * publishes for a thread that does not get to it.
 */

/** A thread that died while it published leaves its version odd; nobody waits for it longer than this. */
const LOCK_SPINS_MAX: i32 = 1 << 24;

/** Takes the lock, or what is left of it when its holder is gone. */
@inline
export function lock(version: i32): void {
  for (let spins = 0; spins < LOCK_SPINS_MAX; spins++) {
    if (tryLock(version)) return;
  }
}

/** Takes the lock if nobody holds it. */
@inline
export function tryLock(version: i32): bool {
  const seen = atomic.load<i32>(version);
  return (seen & 1) == 0 && atomic.cmpxchg<i32>(version, seen, seen + 1) == seen;
}

@inline
export function unlock(version: i32): void {
  atomic.add<i32>(version, 1);
}
