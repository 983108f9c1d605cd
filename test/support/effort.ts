/** How hard the tests try: seconds a file with `npm test`, minutes with `npm run test:long`. */
export const IS_LONG = ['1', 'once'].includes(process.env.CRUCIBLE_LONG ?? '');

/** As hard, but one case where there would be many of a kind: what a run of CI has time for. */
export const IS_ONCE = process.env.CRUCIBLE_LONG === 'once';

/** So many rounds of something. */
export const rounds = (short: number, long: number): number => (IS_LONG ? long : short);
