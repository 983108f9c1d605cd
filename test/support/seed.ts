/** Where everything random in the tests comes from. The runner prints it; `CRUCIBLE_SEED=n npm test` replays a run. */
import { configureGlobal } from 'fast-check';

/** A whole number of 31 bits. */
export const SEED = Number(process.env.CRUCIBLE_SEED);

configureGlobal({ seed: SEED });
