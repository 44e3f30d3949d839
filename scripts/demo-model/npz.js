/** Writes NumPy .npz files: a zip of .npy arrays, deflated, with a fixed date so that bytes repeat. */
import { crc32, deflateRawSync } from 'node:zlib';

const VERSION = 20;
const DEFLATE = 8;
const DATE_1980_01_01 = 0x21;

/**
 * NPY format 1.0, C order.
 * @param {string} descr NumPy type, e.g. `|u1` or `<i4`
 * @param {readonly number[]} shape
 * @param {Uint8Array} data
 */
export function npy(descr, shape, data) {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
  const preamble = 10;
  const total = Math.ceil((preamble + dictionary.length + 1) / 64) * 64;
  const header = Buffer.from(`${dictionary.padEnd(total - preamble - 1)}\n`, 'latin1');
  const size = Buffer.alloc(2);
  size.writeUInt16LE(header.length);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), size, header, data]);
}

/** The fields that the local and the central header of a zip entry share (APPNOTE 4.4). */
function commonHeader({ name, content, packed }) {
  const header = Buffer.alloc(26);
  header.writeUInt16LE(VERSION, 0);
  header.writeUInt16LE(DEFLATE, 4);
  header.writeUInt16LE(DATE_1980_01_01, 8);
  header.writeUInt32LE(crc32(content), 10);
  header.writeUInt32LE(packed.length, 14);
  header.writeUInt32LE(content.length, 18);
  header.writeUInt16LE(Buffer.byteLength(name), 22);
  return header;
}

function centralHeader(entry, offset) {
  const attributes = Buffer.alloc(14);
  attributes.writeUInt32LE(offset, 10);
  return Buffer.concat([
    Buffer.from('PK\x01\x02', 'latin1'),
    Buffer.from([VERSION, 0]),
    commonHeader(entry),
    attributes,
    Buffer.from(entry.name),
  ]);
}

/**
 * @param {Readonly<Record<string, Buffer>>} arrays name -> content of the .npy file
 * @returns {Buffer}
 */
export function encodeNpz(arrays) {
  const local = [];
  const central = [];
  let offset = 0;
  for (const [array, content] of Object.entries(arrays)) {
    const entry = { name: `${array}.npy`, content, packed: deflateRawSync(content, { level: 9 }) };
    const file = Buffer.concat([
      Buffer.from('PK\x03\x04', 'latin1'),
      commonHeader(entry),
      Buffer.from(entry.name),
      entry.packed,
    ]);
    local.push(file);
    central.push(centralHeader(entry, offset));
    offset += file.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(central.length, 8);
  end.writeUInt16LE(central.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...local, directory, end]);
}
