// Generated test images, so that the repository need not store them.

import { deflateSync } from 'node:zlib';

/** A PNG of a colour gradient: an image without a face. */
export function gradientPng(width, height) {
  const rows = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * (1 + 3 * width) + 1 + 3 * x;
      rows[at] = (255 * x) / width;
      rows[at + 1] = (255 * y) / height;
      rows[at + 2] = 128;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // 8 bits per channel, RGB.
  header.set([8, 2], 8);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A PPM of uniform grey: an image format that browsers do not show. */
export function greyPpm(width, height) {
  return Buffer.concat([
    Buffer.from(`P6 ${width} ${height} 255\n`),
    Buffer.alloc(3 * width * height, 128),
  ]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

/** The CRC of PNG (ISO/IEC 15948, annex D), bit by bit. */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A JPEG with an EXIF orientation inserted before everything else. */
export function withOrientation(jpeg, orientation) {
  // Exif header; TIFF, little endian, first directory at 8; one entry: tag 0x0112, SHORT, count 1.
  const exif = Buffer.from(
    '457869660000' +
      '49492a0008000000' +
      '0100' +
      '1201' +
      '0300' +
      '01000000' +
      '00000000' +
      '00000000',
    'hex',
  );
  exif.writeUInt16LE(orientation, 6 + 8 + 2 + 8);
  const marker = Buffer.from([0xff, 0xe1, 0, 0]);
  marker.writeUInt16BE(exif.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), marker, exif, jpeg.subarray(2)]);
}
