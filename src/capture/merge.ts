/** Values of both, those of the second first. Where a getter throws it is the first: whoever stores it finds out. */
export function merged<T extends { readonly [key: string]: unknown }>(first: T, second: T | undefined): T {
  if (second === undefined) return first;
  try {
    return { ...first, ...second };
  } catch {
    return first;
  }
}
