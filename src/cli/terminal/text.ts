/** Text that somebody else wrote, made fit for a line of a terminal or of a shell. */

/** One line without control characters, which could move the cursor or worse. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

/** An argument as a POSIX shell takes it. */
export function shellArgument(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
