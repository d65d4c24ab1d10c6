// Products of a few rows of activations with a weight in blocks, and the weight's values themselves.
//
// One row of activations reads each weight once, so that the memory's rate is the limit. A lane takes
// a group of 32 values at a time. Activations become 16-bit integers with one scale a group, in two
// planes of 8 bits: a sum within a group is made by dp4a, four products an instruction, and is exact.
//
// Steps of a block of threads in `gemv`:
//   1. each warp loads its first weights, which no kernel before this one writes;
//   2. wait for the kernel before, then read x, times the norm's weight if there is one, and write it
//      as integers to shared memory; the norm's own factor is the same for all and comes last;
//   3. each warp computes `PER_WARP` rows of the weight at a time: per group an integer sum, times the scales;
//      a shuffle adds the lanes, and lane 0 applies factor, bias, residual or activation.
// Every row of x meets the same operations in the same order whatever `TOKENS` is: its result does not
// depend, bit for bit, on how many rows are computed with it.
//
// Compiled by NVRTC without any header. Given by the host: ELEMENT (0 bfloat16, 1 float16),
// and for `gemv` F0, F1, F2 (the formats of up to three parts of the weight), PER_WARP (rows of the
// weight that a warp computes at a time), WARPS, AHEAD (groups of a row that a lane loads ahead), TOKENS.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;

#define INLINE __device__ __forceinline__

// ------------------------------------------------------------------------------ numbers

INLINE float of_half(u16 bits) { float out; asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(bits)); return out; }

#if ELEMENT == 0
INLINE float of_element(u16 bits) { return __uint_as_float((u32)bits << 16); }
INLINE u16 to_element(float x) {  // to nearest, ties to even; NaN stays NaN
  u32 bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (u16)(bits >> 16 | 64);
  return (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#else
INLINE float of_element(u16 bits) { return of_half(bits); }
INLINE u16 to_element(float x) { u16 out; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out) : "f"(x)); return out; }
#endif

INLINE int dot_uu(u32 a, u32 b, int c) { int r; asm("dp4a.u32.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)); return r; }
INLINE int dot_us(u32 a, u32 b, int c) { int r; asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)); return r; }
INLINE int dot_su(u32 a, u32 b, int c) { int r; asm("dp4a.s32.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)); return r; }
INLINE int dot_ss(u32 a, u32 b, int c) { int r; asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)); return r; }

// Weights are read once: they do not stay in the first cache.
INLINE uint4 load16(const void* p) { uint4 v; asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p)); return v; }
INLINE uint2 load8(const void* p) { uint2 v; asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p)); return v; }
INLINE u32 load4(const void* p) { u32 v; asm volatile("ld.global.nc.L1::no_allocate.L2::128B.u32 %0, [%1];" : "=r"(v) : "l"(p)); return v; }
INLINE u16 load2(const void* p) { return __ldg((const u16*)p); }
INLINE u8 load1(const void* p) { return __ldg((const u8*)p); }

// Programmatic dependent launch: a kernel begins before the one before it ends, and waits before it
// reads what that wrote, or writes what that reads.
#if __CUDA_ARCH__ >= 900  // programmatic dependent launch
#define WAIT asm volatile("griddepcontrol.wait;" ::: "memory")
#define LAUNCH_DEPENDENTS asm volatile("griddepcontrol.launch_dependents;")
#else
#define WAIT
#define LAUNCH_DEPENDENTS
#endif

// ------------------------------------------------------------------------------ formats

struct Part {
  const u8* plane[4];  // codes, then scales, as Format.planes has them
  int rows, begin;     // of the weight, and the first of them in the whole
};

// Codes of a group at `g`, counted over all rows: eight words of four bytes.
struct Codes8 {
  static constexpr int PLANES = 1;
  uint4 a, b;
  INLINE void load(const Part& p, i64 g) { a = load16(p.plane[0] + g * 32); b = load16(p.plane[0] + g * 32 + 16); }
  INLINE void words(u32 c[8]) const { c[0] = a.x; c[1] = a.y; c[2] = a.z; c[3] = a.w; c[4] = b.x; c[5] = b.y; c[6] = b.z; c[7] = b.w; }
};
struct Codes4 {
  static constexpr int PLANES = 1;
  uint4 a;
  INLINE void load(const Part& p, i64 g) { a = load16(p.plane[0] + g * 16); }
  INLINE void words(u32 c[8]) const {
    const u32 m = 0x0f0f0f0fu;
    c[0] = a.x & m; c[1] = a.y & m; c[2] = a.z & m; c[3] = a.w & m;
    c[4] = a.x >> 4 & m; c[5] = a.y >> 4 & m; c[6] = a.z >> 4 & m; c[7] = a.w >> 4 & m;
  }
};
INLINE u32 two_bits(uint2 a, int pack) { return (pack < 4 ? a.x : a.y) >> (2 * (pack & 3)) & 0x03030303u; }
INLINE u32 one_bit(u32 a, int pack) { return a >> pack & 0x01010101u; }
struct Codes6 {
  static constexpr int PLANES = 2;
  Codes4 low; uint2 high;
  INLINE void load(const Part& p, i64 g) { low.load(p, g); high = load8(p.plane[1] + g * 8); }
  INLINE void words(u32 c[8]) const {
    low.words(c);
#pragma unroll
    for (int i = 0; i < 8; i++) c[i] |= two_bits(high, i) << 4;
  }
};
struct Codes5 {
  static constexpr int PLANES = 2;
  Codes4 low; u32 high;
  INLINE void load(const Part& p, i64 g) { low.load(p, g); high = load4(p.plane[1] + g * 4); }
  INLINE void words(u32 c[8]) const {
    low.words(c);
#pragma unroll
    for (int i = 0; i < 8; i++) c[i] |= one_bit(high, i) << 4;
  }
};
struct Codes2 {
  static constexpr int PLANES = 1;
  uint2 a;
  INLINE void load(const Part& p, i64 g) { a = load8(p.plane[0] + g * 8); }
  INLINE void words(u32 c[8]) const {
#pragma unroll
    for (int i = 0; i < 8; i++) c[i] = two_bits(a, i);
  }
};
struct Codes3 {
  static constexpr int PLANES = 2;
  Codes2 low; u32 high;
  INLINE void load(const Part& p, i64 g) { low.load(p, g); high = load4(p.plane[1] + g * 4); }
  INLINE void words(u32 c[8]) const {
    low.words(c);
#pragma unroll
    for (int i = 0; i < 8; i++) c[i] |= one_bit(high, i) << 2;
  }
};

// The integers of codes. SIGNED: the words hold int8. BY: to be taken off.
template <int N> struct Offset {
  static constexpr bool SIGNED = false;
  static constexpr int BY = N;
  static INLINE void apply(u32[8]) {}
};
struct Signed {
  static constexpr bool SIGNED = true;
  static constexpr int BY = 0;
  static INLINE void apply(u32[8]) {}
};
// Sixteen bytes in four words; a code's low three bits choose in two words, its fourth which two.
template <u32 A, u32 B, u32 C, u32 D> struct Table {
  static constexpr bool SIGNED = true;
  static constexpr int BY = 0;
  static INLINE u32 look_up(u32 code) {
    u32 low = code & 0x07070707u, high = code >> 1 & 0x04040404u;
    low = (low & 7) | (low >> 4 & 0x70) | (low >> 8 & 0x700) | (low >> 12 & 0x7000);
    high = (high & 4) | (high >> 4 & 0x40) | (high >> 8 & 0x400) | (high >> 12 & 0x4000);
    return __byte_perm(__byte_perm(A, B, low), __byte_perm(C, D, low), 0x3210u | high);
  }
  static INLINE void apply(u32 c[8]) {
#pragma unroll
    for (int i = 0; i < 8; i++) c[i] = look_up(c[i]);
  }
};
typedef Table<0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u> TableIQ4;
typedef Table<0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu> TableE2M1;

// The scales of a group's two halves, and what is taken off. `at` is the plane's place in Part.
struct Scale {
  static constexpr bool HALVES = false, MINIMUM = false;
  u16 d;
  INLINE void load(const Part& p, int at, i64 g, i64) { d = load2(p.plane[at] + g * 2); }
  INLINE float2 scale() const { float s = of_half(d); return make_float2(s, s); }
  INLINE float2 minimum() const { return make_float2(0.f, 0.f); }
};
struct ScaleAndMinimum {
  static constexpr bool HALVES = false, MINIMUM = true;
  u32 d;
  INLINE void load(const Part& p, int at, i64 g, i64) { d = load4(p.plane[at] + g * 4); }
  INLINE float2 scale() const { float s = of_half((u16)d); return make_float2(s, s); }
  INLINE float2 minimum() const { float m = -of_half((u16)(d >> 16)); return make_float2(m, m); }
};
struct Of32 {
  static constexpr bool HALVES = false, MINIMUM = true;
  u16 small; u32 d;
  INLINE void load(const Part& p, int at, i64 g, i64 block) { small = load2(p.plane[at] + g * 2); d = __ldg((const u32*)(p.plane[at + 1] + block * 4)); }
  INLINE float2 scale() const { float s = __fmul_rn(of_half((u16)d), (float)(small & 255)); return make_float2(s, s); }
  INLINE float2 minimum() const { float m = __fmul_rn(of_half((u16)(d >> 16)), (float)(small >> 8)); return make_float2(m, m); }
};
struct Of16 {
  static constexpr bool HALVES = true, MINIMUM = false;
  u16 small, d;
  INLINE void load(const Part& p, int at, i64 g, i64 block) { small = load2(p.plane[at] + g * 2); d = load2(p.plane[at + 1] + block * 2); }
  INLINE float2 scale() const { float s = of_half(d); return make_float2(__fmul_rn(s, (float)(signed char)(small & 255)), __fmul_rn(s, (float)(signed char)(small >> 8))); }
  INLINE float2 minimum() const { return make_float2(0.f, 0.f); }
};
struct Of16WithMinimum {
  static constexpr bool HALVES = true, MINIMUM = true;
  u16 small; u32 d;
  INLINE void load(const Part& p, int at, i64 g, i64 block) { small = load2(p.plane[at] + g * 2); d = __ldg((const u32*)(p.plane[at + 1] + block * 4)); }
  INLINE float2 scale() const { float s = of_half((u16)d); return make_float2(__fmul_rn(s, (float)(small & 15)), __fmul_rn(s, (float)(small >> 8 & 15))); }
  INLINE float2 minimum() const { float m = of_half((u16)(d >> 16)); return make_float2(__fmul_rn(m, (float)(small >> 4 & 15)), __fmul_rn(m, (float)(small >> 12))); }
};
struct Signed32 {
  static constexpr bool HALVES = false, MINIMUM = false;
  u8 small; u16 d;
  INLINE void load(const Part& p, int at, i64 g, i64 block) { small = load1(p.plane[at] + g); d = load2(p.plane[at + 1] + block * 2); }
  INLINE float2 scale() const { float s = __fmul_rn(of_half(d), (float)(signed char)small); return make_float2(s, s); }
  INLINE float2 minimum() const { return make_float2(0.f, 0.f); }
};
struct PowerOfTwo {
  static constexpr bool HALVES = false, MINIMUM = false;
  u8 e;
  INLINE void load(const Part& p, int at, i64 g, i64) { e = load1(p.plane[at] + g); }
  INLINE float2 scale() const { float s = __uint_as_float(e < 2 ? 0x00200000u << e : (u32)(e - 1) << 23); return make_float2(s, s); }
  INLINE float2 minimum() const { return make_float2(0.f, 0.f); }
};

// Groups of the rows before are counted in g; blocks of 256 of a row begin at a row's start.
template <class C, class L, class S> struct Format {
  typedef L Levels;
  typedef S Scales;
  C codes; S scales;
  INLINE void load(const Part& p, i64 row, int g, int groups) {
    codes.load(p, row * groups + g);
    scales.load(p, C::PLANES, row * groups + g, row * (groups >> 3) + (g >> 3));
  }
  INLINE void words(u32 c[8]) const { codes.words(c); L::apply(c); }
};

#ifdef GEMV
// ------------------------------------------------------------------------------ products


// In shared memory, for each row of x: two planes of high bytes, two of low bytes (uint4 a group: its
// first and second sixteen values), and {scale, sum of the first 16, of the last 16, 0} a group.
extern __shared__ uint4 shared[];

struct Row { const uint4 *h0, *h1, *l0, *l1; const int4* sums; };
INLINE Row row_of(int t, int groups) {
  const uint4* s = shared + (i64)t * 5 * groups;
  return {s, s + groups, s + 2 * groups, s + 3 * groups, (const int4*)(s + 4 * groups)};
}

template <bool S> INLINE int dots(const u32* c, uint4 h, uint4 l) {
  int a, b;
  if (S) {
    a = dot_ss(c[0], h.x, 0); a = dot_ss(c[1], h.y, a); a = dot_ss(c[2], h.z, a); a = dot_ss(c[3], h.w, a);
    b = dot_su(c[0], l.x, 0); b = dot_su(c[1], l.y, b); b = dot_su(c[2], l.z, b); b = dot_su(c[3], l.w, b);
  } else {
    a = dot_us(c[0], h.x, 0); a = dot_us(c[1], h.y, a); a = dot_us(c[2], h.z, a); a = dot_us(c[3], h.w, a);
    b = dot_uu(c[0], l.x, 0); b = dot_uu(c[1], l.y, b); b = dot_uu(c[2], l.z, b); b = dot_uu(c[3], l.w, b);
  }
  return a * 256 + b;
}

template <class F> INLINE float add_group(float total, const u32 c[8], float2 scale, float2 minimum, const Row& x, int g) {
  typedef typename F::Levels L;
  typedef typename F::Scales S;
  int4 sums = x.sums[g];
  float unit = __int_as_float(sums.x);
  int first = dots<L::SIGNED>(c, x.h0[g], x.l0[g]) - L::BY * sums.y;
  int second = dots<L::SIGNED>(c + 4, x.h1[g], x.l1[g]) - L::BY * sums.z;
  if (S::HALVES) {
    total = __fmaf_rn(__fmul_rn(scale.x, unit), (float)first, total);
    total = __fmaf_rn(__fmul_rn(scale.y, unit), (float)second, total);
    if (S::MINIMUM) {
      total = __fmaf_rn(__fmul_rn(minimum.x, unit), -(float)sums.y, total);
      total = __fmaf_rn(__fmul_rn(minimum.y, unit), -(float)sums.z, total);
    }
  } else {
    total = __fmaf_rn(__fmul_rn(scale.x, unit), (float)(first + second), total);
    if (S::MINIMUM) total = __fmaf_rn(__fmul_rn(minimum.x, unit), -(float)(sums.y + sums.z), total);
  }
  return total;
}

INLINE float activated(float gate, int activation) {
  if (activation == 0) return gate / (1.f + __expf(-gate));
  if (activation == 1) {
    float inner = 0.7978845608028654f * (gate + 0.044715f * gate * gate * gate);
    return gate * (1.f - 1.f / (1.f + __expf(2.f * inner)));
  }
  return 0.5f * gate * (1.f + erff(gate * 0.7071067811865476f));
}

struct Call {
  Part part[3];
  const u16 *x, *norm, *bias, *residual;
  u16* out;
  const i64* experts;        // of each slot (blockIdx.y), or null
  i64 x_stride, out_stride;  // between rows of x and of out, or between slots
  int columns, rows;         // of the weight, of one expert; rows of out are half if gated
  int blocks0, blocks1;      // blocks of threads of the first part, of the first two
  int repeats;               // times that a warp takes PER_WARP rows
  int tokens;                // rows of x, at most TOKENS
  int activation;            // -1: none; else gate and up are multiplied
  float epsilon, offset;     // of the norm
};

// Eight values a thread are read and made integers at a time, so many times at once as there are
// registers for.
#define BATCH (BLOCKS > 2 ? 2 : 4)

struct Weights8 { uint4 by[BATCH]; };  // of the norm, for a thread's first values

INLINE Weights8 first_norm_weights(const Call& a, int count) {
  Weights8 found;
#pragma unroll
  for (int b = 0; b < BATCH; b++) {
    int i = threadIdx.x + b * WARPS * 32;
    if (a.norm && i < count) found.by[b] = *(const uint4*)(a.norm + i * 8);
  }
  return found;
}

// Thread i's eight values as integers in shared memory; four threads share a group and its scale.
INLINE float write_integers(const Call& a, uint4* s, int groups, int i, bool real, uint4 raw, uint4 by) {
  float v[8], squares = 0.f;
  u32 w[4] = {raw.x, raw.y, raw.z, raw.w}, n[4] = {by.x, by.y, by.z, by.w};
#pragma unroll
  for (int j = 0; j < 8; j++) {
    v[j] = real ? of_element((u16)(w[j / 2] >> (16 * (j & 1)))) : 0.f;
    if (a.norm) {
      squares = __fmaf_rn(v[j], v[j], squares);
      if (real) v[j] = __fmul_rn(v[j], of_element((u16)(n[j / 2] >> (16 * (j & 1)))) + a.offset);
    }
  }
  float most = 0.f;
#pragma unroll
  for (int j = 0; j < 8; j++) most = fmaxf(most, fabsf(v[j]));
  most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
  most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
  float unit = most * (1.f / 32512.f), inverse = most > 1e-30f ? __fdividef(32512.f, most) : 0.f;
  int sum = 0;
  u32 high[2] = {0, 0}, low[2] = {0, 0};
#pragma unroll
  for (int j = 0; j < 8; j++) {
    int n = __float2int_rn(v[j] * inverse);
    sum += n;
    high[j / 4] |= (u32)(n >> 8 & 255) << (8 * (j & 3));
    low[j / 4] |= (u32)(n & 255) << (8 * (j & 3));
  }
  sum += __shfl_xor_sync(~0u, sum, 1);
  int other = __shfl_xor_sync(~0u, sum, 2);
  int g = i >> 2, q = i & 3;
  if (g < groups) {
    ((uint2*)(s + (q >> 1) * groups + g))[q & 1] = make_uint2(high[0], high[1]);
    ((uint2*)(s + (2 + (q >> 1)) * groups + g))[q & 1] = make_uint2(low[0], low[1]);
    if (q == 0) ((int4*)(s + 4 * groups))[g] = make_int4(__float_as_int(unit), sum, other, 0);
  }
  return squares;
}

// x as integers in shared memory; returns by `factor` what the norm multiplies each row with.
INLINE void quantise(const Call& a, int groups, const Weights8& first, float factor[TOKENS]) {
  __shared__ float squares_of[TOKENS][WARPS];
  const int threads = WARPS * 32;
  int count = groups * 4, whole = (count + 31) & ~31;  // all lanes of a warp take part in shuffles
#pragma unroll
  for (int t = 0; t < TOKENS; t++) {
    float squares = 0.f;
    const u16* x = a.x + (i64)(a.experts ? blockIdx.y : t) * a.x_stride;
    uint4* s = shared + (i64)t * 5 * groups;
    for (int begin = threadIdx.x; begin < whole; begin += threads * BATCH) {
      uint4 raw[BATCH], by[BATCH];
#pragma unroll
      for (int b = 0; b < BATCH; b++) {
        int i = begin + b * threads;
        if (i < count && t < a.tokens) {
          raw[b] = *(const uint4*)(x + i * 8);
          if (a.norm) by[b] = begin == threadIdx.x ? first.by[b] : *(const uint4*)(a.norm + i * 8);
        }
      }
#pragma unroll
      for (int b = 0; b < BATCH; b++) {
        int i = begin + b * threads;
        if (i < whole) squares += write_integers(a, s, groups, i, i < count && t < a.tokens, raw[b], by[b]);
      }
    }
#pragma unroll
    for (int o = 16; o; o >>= 1) squares += __shfl_xor_sync(~0u, squares, o);
    if ((threadIdx.x & 31) == 0) squares_of[t][threadIdx.x >> 5] = squares;
  }
  __syncthreads();
#pragma unroll
  for (int t = 0; t < TOKENS; t++) {
    float squares = 0.f;
#pragma unroll
    for (int w = 0; w < WARPS; w++) squares += squares_of[t][w];
    factor[t] = a.norm ? rsqrtf(squares / (float)a.columns + a.epsilon) : 1.f;
  }
}

// Blocks of threads `block` of one part of the weight, in format F.
template <class F> INLINE void product(const Call& a, const Part& p, int block) {
  int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, groups = a.columns >> 5;
  i64 expert = a.experts ? a.experts[blockIdx.y] : 0;
  bool gated = a.activation >= 0;
  int count = gated ? p.rows / 2 : p.rows;  // rows of the result
  const int each = PER_WARP;
  int per = gated ? each / 2 : each;
  F next[AHEAD][PER_WARP];
  int row0 = (block * WARPS + warp) * a.repeats * per;
  auto row_at = [&](int row, int r) -> i64 {  // gate rows first, then up rows
    int at = gated ? row + (r >> 1) : row + r;
    at = min(at, count - 1);
    return expert * a.rows + (gated && (r & 1) ? at + count : at);
  };
  auto load = [&](int row, int g0) {
#pragma unroll
    for (int u = 0; u < AHEAD; u++) {
      int g = g0 + u * 32 + lane;
#pragma unroll
      for (int r = 0; r < PER_WARP; r++)
        if (g < groups) next[u][r].load(p, row_at(row, r), g, groups);
    }
  };
  LAUNCH_DEPENDENTS;
  if (!a.experts) load(row0, 0);
  Weights8 first = first_norm_weights(a, groups * 4);
  WAIT;
  if (a.experts) { expert = a.experts[blockIdx.y]; load(row0, 0); }
  float factor[TOKENS];
  quantise(a, groups, first, factor);
  for (int k = 0; k < a.repeats; k++) {
    int row = row0 + k * per;
    if (row >= count) return;
    float total[TOKENS][PER_WARP];
#pragma unroll
    for (int t = 0; t < TOKENS; t++)
#pragma unroll
      for (int r = 0; r < PER_WARP; r++) total[t][r] = 0.f;
#pragma unroll 1
    for (int g0 = 0; g0 < groups; g0 += 32 * AHEAD) {
      F now[AHEAD][PER_WARP];
#pragma unroll
      for (int u = 0; u < AHEAD; u++)
#pragma unroll
        for (int r = 0; r < PER_WARP; r++) now[u][r] = next[u][r];
      if (g0 + 32 * AHEAD < groups) load(row, g0 + 32 * AHEAD);
      else if (k + 1 < a.repeats) load(row + per, 0);
#pragma unroll
      for (int u = 0; u < AHEAD; u++) {
        int g = g0 + u * 32 + lane;
        if (g >= groups) break;
#pragma unroll
        for (int r = 0; r < PER_WARP; r++) {
          u32 c[8];
          now[u][r].words(c);
          float2 scale = now[u][r].scales.scale(), minimum = now[u][r].scales.minimum();
#pragma unroll
          for (int t = 0; t < TOKENS; t++) total[t][r] = add_group<F>(total[t][r], c, scale, minimum, row_of(t, groups), g);
        }
      }
    }
#pragma unroll
    for (int t = 0; t < TOKENS; t++) {
      float value[PER_WARP];
#pragma unroll
      for (int r = 0; r < PER_WARP; r++) {
        float v = total[t][r];
#pragma unroll
        for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
        value[r] = __fmul_rn(v, factor[t]);
      }
      if (lane != 0 || t >= a.tokens) continue;
      u16* out = a.out + (i64)(a.experts ? blockIdx.y : t) * a.out_stride;
      const u16* residual = a.residual ? a.residual + (i64)t * a.out_stride : 0;
      if (gated) {
#pragma unroll
        for (int r = 0; r + 1 < PER_WARP; r += 2) {
          int at = row + r / 2;
          if (at < count) out[at] = to_element(activated(value[r], a.activation) * value[r + 1]);
        }
      } else {
#pragma unroll
        for (int r = 0; r < PER_WARP; r++) {
          int at = p.begin + row + r;
          if (row + r >= count) continue;
          float v = value[r];
          if (a.bias) v += of_element(a.bias[at]);
          if (residual) v += of_element(residual[at]);
          out[at] = to_element(v);
        }
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(WARPS * 32, BLOCKS) gemv(const __grid_constant__ Call a) {
  int block = blockIdx.x;
#ifdef F1
  if (block >= a.blocks0) {
#ifdef F2
    if (block >= a.blocks1) { product<F2>(a, a.part[2], block - a.blocks1); return; }
#endif
    product<F1>(a, a.part[1], block - a.blocks0);
    return;
  }
#endif
  product<F0>(a, a.part[0], block);
}
#endif

#ifdef VALUES
// ------------------------------------------------------------------------------ values

// The values of rows of a weight, each as gguf's dequantize gives it, then rounded: a thread a group.
// What a block of threads computes lies together in `out`, and is written from shared memory so that
// neighbouring threads write neighbouring bytes.
#define THREADS 256

extern "C" __global__ void __launch_bounds__(THREADS) values(const Part p, u16* out, const i64* ids, i64 rows, int groups) {
  __shared__ uint4 staged[THREADS * 4];
  LAUNCH_DEPENDENTS;
  WAIT;
  i64 begin = (i64)blockIdx.x * THREADS, i = begin + threadIdx.x;
  int turn = threadIdx.x >> 1 & 3;  // spreads a thread's four parts over the banks
  if (i < rows * groups) {
    i64 row = i / groups;
    int g = (int)(i - row * groups);
    F0 form;
    form.load(p, ids ? ids[row] : row, g, groups);
    u32 c[8];
    form.words(c);
    float2 scale = form.scales.scale(), minimum = form.scales.minimum();
    u32 packed[16];
#pragma unroll
    for (int j = 0; j < 32; j += 2) {
      u16 pair[2];
#pragma unroll
      for (int k = 0; k < 2; k++) {
        u32 byte = c[(j + k) / 4] >> (8 * ((j + k) & 3)) & 255;
        int level = F0::Levels::SIGNED ? (int)(signed char)byte : (int)byte - F0::Levels::BY;
        float s = j < 16 ? scale.x : scale.y, m = j < 16 ? minimum.x : minimum.y;
        float v = __fmul_rn(s, (float)level);
        pair[k] = to_element(F0::Scales::MINIMUM ? __fsub_rn(v, m) : v);
      }
      packed[j / 2] = (u32)pair[1] << 16 | pair[0];
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
      staged[threadIdx.x * 4 + (j ^ turn)] = make_uint4(packed[4 * j], packed[4 * j + 1], packed[4 * j + 2], packed[4 * j + 3]);
  }
  __syncthreads();
  uint4* to = (uint4*)(out + begin * 32);
  i64 count = min((i64)THREADS, rows * groups - begin) * 4;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    int at = k * THREADS + threadIdx.x, from = at >> 2;
    if (at < count) to[at] = staged[from * 4 + ((at & 3) ^ (from >> 1 & 3))];
  }
}
#endif
