// What Lodestar 1.5.1 lacks on Node 20 without install scripts. Load it with `node --import`.
import { createRequire } from 'node:module'

// A transitive dependency of libp2p calls it; Node has it from 22 on.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((a, b) => {
    resolve = a
    reject = b
  })
  return { promise, resolve, reject }
}

// bcrypto (discv5's) is a native addon too, with a JavaScript backend for the asking.
process.env.NODE_BACKEND ??= 'js'

// `snappy` 6 is a native addon that its install script builds. Where that did not run, the
// JavaScript implementation that Lodestar uses elsewhere stands in for what snappy-stream calls.
const require = createRequire(import.meta.url)
try {
  require('snappy')
} catch {
  const { compress, uncompress } = require('snappyjs')
  const answer = (make, callback) => {
    let value
    try {
      value = make()
    } catch (e) {
      callback(e)
      return
    }
    callback(null, value)
  }
  const compressSync = input => compress(Buffer.from(input))
  const uncompressSync = input => uncompress(input)
  const filename = require.resolve('snappy')
  require.cache[filename] = {
    id: filename,
    filename,
    loaded: true,
    exports: {
      compressSync,
      uncompressSync,
      compress: (input, callback) => answer(() => compressSync(input), callback),
      uncompress: (input, options, callback) =>
        answer(() => uncompressSync(input), callback ?? options)
    }
  }
}
