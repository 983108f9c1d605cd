/**
 * The lock of a producer's accumulators and of what it is about to publish: its statistics version, odd while somebody
 * holds it. Next to nobody ever waits: the producer's own thread takes it, and whoever copies the accumulators or
 * publishes for a thread that does not get to it.
 */

/** The lock is held for about a microsecond, so it is worth spinning for. */
const SPINS: i32 = 1 << 12;
/** Its holder may have been put aside by the system; a thread that died there leaves its version odd for ever. */
const NAPS: i32 = 1 << 13;
const NAP_NS: i64 = 100_000;

/** Takes the lock, or after about a second what is left of it when its holder is gone. */
@inline
export function lock(version: i32): void {
  for (let spins = 0; spins < SPINS; spins++) {
    if (tryLock(version)) return;
  }
  for (let naps = 0; naps < NAPS; naps++) {
    atomic.wait<i32>(version, atomic.load<i32>(version) | 1, NAP_NS);
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
