/** A view of all the bytes: it writes numbers without the checks that a Buffer's methods make of each. */
export function dataViewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
