/*
 * Headers of .zip archives whose members are stored, not deflated, and have no dates: the same content
 * gives the same bytes whatever the version of zlib (APPNOTE 4.3, 4.4).
 */

/** Sizes and offsets in a .zip file without its 64-bit extension. */
export const MAX_ZIP_BYTES = 0xffff_ffff;
/** Of a local header, before the name. */
export const LOCAL_BYTES = 30;
const DATE_1980_01_01 = 0x21;

export interface Entry {
  readonly name: Buffer;
  /** Where its local header is. */
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
}

/** What both headers of an entry have in common (APPNOTE 4.4): stored, sizes known. */
function common({ name, bytes, crc }: Entry): Buffer {
  const header = Buffer.alloc(26);
  header.writeUInt16LE(20, 0);
  header.writeUInt16LE(DATE_1980_01_01, 8);
  header.writeUInt32LE(crc, 10);
  header.writeUInt32LE(bytes, 14);
  header.writeUInt32LE(bytes, 18);
  header.writeUInt16LE(name.length, 22);
  return header;
}

/** What stands before the content of a member. */
export function localHeader(entry: Entry): Buffer {
  return Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common(entry), entry.name]);
}

/** What stands after the last member, at `offset`. */
export function directory(entries: readonly Entry[], offset: number): Buffer {
  const records = entries.map((entry) => {
    const attributes = Buffer.alloc(14);
    attributes.writeUInt32LE(entry.offset, 10);
    const version = Buffer.from([20, 0]);
    const magic = Buffer.from('PK\x01\x02', 'latin1');
    return Buffer.concat([magic, version, common(entry), attributes, entry.name]);
  });
  const central = Buffer.concat(records);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([central, end]);
}
