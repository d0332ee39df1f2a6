// A hostile policy: `describe` traps, `claim-clause` never ends, and `decide` takes all memory that it gets. Its core
// module in the text format, and as `wat2wasm` writes it:
//
//   (module
//     (memory (export "memory") 1)
//     (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 8)
//     (func (export "serial-gate:policy/serial-gate@0.4.0#describe") (result i32) unreachable)
//     (func (export "serial-gate:policy/serial-gate@0.4.0#claim-clause")
//       (param i32 i32 i32 i32 i32 i32 i32 i64 i32) (result i32) (loop (br 0)) unreachable)
//     (func (export "serial-gate:policy/serial-gate@0.4.0#decide") (param i32) (result i32)
//       (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))

const MODULE = [
  'AGFzbQEAAAABHwRgBH9/f38Bf2AAAX9gCX9/f39/f39+fwF/YAF/AX8DBQQAAQIDBQMBAAEHqwEFBm1lbW9yeQIADGNhYmlfcmVhbGxvYwAALX',
  'NlcmlhbC1nYXRlOnBvbGljeS9zZXJpYWwtZ2F0ZUAwLjQuMCNkZXNjcmliZQABMXNlcmlhbC1nYXRlOnBvbGljeS9zZXJpYWwtZ2F0ZUAwLjQu',
  'MCNjbGFpbS1jbGF1c2UAAitzZXJpYWwtZ2F0ZTpwb2xpY3kvc2VyaWFsLWdhdGVAMC40LjAjZGVjaWRlAAMKIwQEAEEICwMAAAsIAANADAALAA',
  'sPAANAQRBAAEF/Rw0ACwAL',
].join('');

/** The component around it: its header, and the module as the first section. */
export function hostile() {
  const module = Buffer.from(MODULE, 'base64');
  const size = [];
  for (let rest = module.length; ; rest >>= 7) {
    size.push(rest >= 0x80 ? (rest & 0x7f) | 0x80 : rest);
    if (rest < 0x80) break;
  }
  return Buffer.concat([Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, 1, ...size]), module]);
}
