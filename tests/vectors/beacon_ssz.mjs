// Writes seeded random values of phase0's containers with their SSZ bytes and roots, as
// @lodestar/types (npm, 1.50.0) computes them: the oracle of codec/ssz and codec/beacon_types.
//
//   npm install @lodestar/types@1.50.0 @lodestar/params@1.50.0
//   LODESTAR_PRESET=minimal node beacon_ssz.mjs SEED COUNT MAX_LIST >> beacon_ssz.txt
//
// One line per value: preset, container, bytes, hash_tree_root, and for a signed block also the
// block's root and the body's root. COUNT blocks; MAX_LIST bounds the length of each list.
import { ssz } from '@lodestar/types'
import { ACTIVE_PRESET } from '@lodestar/params'
import { createHash } from 'node:crypto'
import { BitArray } from '@chainsafe/ssz'

const [seed = '1', count = '2', maxList = '2'] = process.argv.slice(2)
let counter = 0
const bytes = n => {
  const out = Buffer.alloc(n)
  for (let at = 0; at < n; at += 32) {
    createHash('sha256').update(`${seed}/${counter++}`).digest().copy(out, at)
  }
  return out
}
const below = n => bytes(6).readUIntLE(0, 6) % n
const bits = n => BitArray.fromBoolArray(Array.from({ length: n }, () => below(2) === 1))

function random (type) {
  const name = type.constructor.name
  switch (name) {
    case 'BooleanType': return below(2) === 1
    case 'UintNumberType': return below(4) === 0 && type.clipInfinity ? Infinity : below(2 ** Math.min(8 * type.byteLength, 46))
    case 'UintBigintType': return bytes(8).readBigUInt64LE()
    case 'ByteVectorType': return new Uint8Array(bytes(type.lengthBytes))
    case 'BitVectorType': return bits(type.lengthBits)
    case 'BitListType': return bits(below(Math.min(type.limitBits, 300) + 1))
    case 'VectorBasicType':
    case 'VectorCompositeType': return Array.from({ length: type.length }, () => random(type.elementType))
    case 'ListBasicType':
    case 'ListCompositeType': return Array.from({ length: below(Math.min(type.limit, +maxList) + 1) }, () => random(type.elementType))
  }
  if (type.fields) {
    return Object.fromEntries(Object.entries(type.fields).map(([key, child]) => [key, random(child)]))
  }
  if (type.lengthBytes) return new Uint8Array(bytes(type.lengthBytes))
  throw new Error(`no generator for ${name} ${type.typeName}`)
}

const hex = b => Buffer.from(b).toString('hex')
const preset = ACTIVE_PRESET
function line (name, type, value, ...more) {
  console.log([preset, name, hex(type.serialize(value)), hex(type.hashTreeRoot(value)), ...more].join(' '))
}

const t = ssz.phase0
for (let i = 0; i < +count; i++) {
  const block = random(t.SignedBeaconBlock)
  line('SignedBeaconBlock', t.SignedBeaconBlock, block,
    hex(t.BeaconBlock.hashTreeRoot(block.message)), hex(t.BeaconBlockBody.hashTreeRoot(block.message.body)))
}
line('SignedBeaconBlock', t.SignedBeaconBlock, t.SignedBeaconBlock.defaultValue(),
  hex(t.BeaconBlock.hashTreeRoot(t.BeaconBlock.defaultValue())),
  hex(t.BeaconBlockBody.hashTreeRoot(t.BeaconBlockBody.defaultValue())))
for (const [name, type] of Object.entries({
  Attestation: t.Attestation, BeaconBlockHeader: t.BeaconBlockHeader, Checkpoint: t.Checkpoint,
  ForkData: t.ForkData, Status: t.Status, MetaDataV1: t.Metadata, MetaDataV2: ssz.altair.Metadata,
  BlocksByRange: t.BeaconBlocksByRangeRequest, Ping: t.Ping, Goodbye: t.Goodbye
})) line(name, type, random(type))
