/** How hard the tests try: seconds a file with `npm test`, minutes with `npm run test:long`. */
export const IS_LONG = ['1', 'once'].includes(process.env.CRUCIBLE_LONG ?? '');

/** As hard as a run of CI has time for: one case where there would be many of a kind. */
export const IS_ONCE = process.env.CRUCIBLE_LONG === 'once';

/** Rows of tests with many of them. */
export const LONG_ROWS = IS_ONCE ? 400_000 : 1_000_000;

/** So many rounds of something. */
export const rounds = (short: number, long: number): number => (IS_LONG ? long : short);
