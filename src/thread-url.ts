/**
 * Where the module `<name>.worker.js` beside the calling module is. Tests run the sources, of which a thread needs the
 * compiled form.
 * @param beside - the caller's `import.meta.url`
 */
export function threadUrl(name: string, beside: string): URL {
  const isSource = beside.endsWith('.ts');
  return new URL(
    `${name}.worker.js`,
    isSource ? beside.replace(/\/src\/(?!.*\/src\/)/, '/dist/src/') : beside,
  );
}
