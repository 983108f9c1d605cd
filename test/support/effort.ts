/** How hard the tests try: seconds a file with `npm test`, minutes with `npm run test:long`. */
export const IS_LONG = process.env.CRUCIBLE_LONG === '1';

/** So many rounds of something. */
export const rounds = (short: number, long: number): number => (IS_LONG ? long : short);
