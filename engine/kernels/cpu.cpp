// What a decoder computes on the CPU for few rows of activations: products with weights in blocks or
// plain numbers, norms, rotation, one token's attention; and the values of weights in blocks.
//
// One row of activations reads each weight once, so that the memory's rate is the limit. Activations
// become 16-bit integers with one scale a group of 32, so that the sum within a group is a few
// integer instructions, and exact. Eight lanes each keep a sum over the groups of a row, in float32,
// and are added at the end. Every row of activations meets the same operations in the same order
// however many others it is computed with: its result does not depend on them, bit for bit.
//
// Compiled without any library's headers, once for each level of instructions: AVX2 with FMA and
// F16C by intrinsics, anything else by loops that compilers turn into vectors. Without contraction
// of products and sums: where they are to be one operation, `madd` says so.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int64_t i64;

#if defined(_MSC_VER)
#define EXPORT extern "C" __declspec(dllexport)
#define INLINE static __forceinline
#define MEMBER __forceinline
#define UNROLL
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#define MEMBER inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")  // so that arrays of sums stay in registers
#endif

// ------------------------------------------------------------------------------ threads

// Threads that take pieces of one job at a time. A thread that the system has not woken by the time
// all pieces are taken is not waited for: other programs' load slows a job, and never stops it.
class Pool {
 public:
  typedef void (*Piece)(void* job, i64 index);

  void run(int threads, i64 pieces, Piece piece, void* job) {
    if (threads <= 1 || pieces <= 1) {
      for (i64 i = 0; i < pieces; i++) piece(job, i);
      return;
    }
    std::lock_guard<std::mutex> alone(one_job_);
    while ((int)workers_.size() < threads - 1) start_one();
    piece_ = piece;
    job_ = job;
    pieces_ = pieces;
    helpers_.store(threads - 1, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    open_.store(true);
    if (asleep_.load() > 0) {
      std::lock_guard<std::mutex> lock(sleep_);
      wake_.notify_all();
    }
    work();
    open_.store(false);
    while (inside_.load() > 0) pause();
  }

 private:
  static const int kSpin = 20000;

  static void pause() {
#if defined(__AVX2__)
    _mm_pause();
#endif
  }

  void work() {
    for (;;) {
      i64 i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= pieces_) return;
      piece_(job_, i);
    }
  }

  bool wanted() const { return open_.load() && next_.load(std::memory_order_relaxed) < pieces_; }

  void start_one() {
    int number = (int)workers_.size();
    workers_.emplace_back([this, number] { loop(number); });
    workers_.back().detach();
  }

  void loop(int number) {
    int idle = 0;
    for (;;) {
      inside_.fetch_add(1);  // the fields of a job stay while anyone is inside
      bool took = wanted() && number < helpers_.load(std::memory_order_relaxed);
      if (took) work();
      inside_.fetch_sub(1);
      if (took) idle = 0;
      for (; idle < kSpin && !open_.load(std::memory_order_relaxed); idle++) pause();
      if (idle++ < kSpin) continue;
      std::unique_lock<std::mutex> lock(sleep_);
      asleep_.fetch_add(1);
      wake_.wait(lock, [this] { return open_.load(); });
      asleep_.fetch_sub(1);
      idle = 0;
    }
  }

  std::mutex one_job_, sleep_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
  std::atomic<bool> open_{false};
  std::atomic<int> inside_{0}, asleep_{0}, helpers_{0};
  std::atomic<i64> next_{0};
  i64 pieces_ = 0;
  Piece piece_ = nullptr;
  void* job_ = nullptr;
};

// Never destroyed: its threads may still look at it when the process ends.
static Pool& pool() {
  static Pool* one = new Pool;
  return *one;
}

template <class F> static void parallel(int threads, i64 pieces, F&& body) {
  typedef typename std::remove_reference<F>::type Body;
  pool().run(threads, pieces, [](void* job, i64 i) { (*static_cast<Body*>(job))(i); }, &body);
}

// ------------------------------------------------------------------------------ numbers

enum Element { BFLOAT16 = 0, FLOAT16 = 1, FLOAT32 = 2 };

INLINE float of_bits(u32 bits) { float out; std::memcpy(&out, &bits, 4); return out; }
INLINE u32 bits_of(float x) { u32 out; std::memcpy(&out, &x, 4); return out; }

#if defined(__FMA__) || defined(__AVX2__) || defined(__aarch64__)
INLINE float madd(float a, float b, float c) { return std::fma(a, b, c); }
#else
INLINE float madd(float a, float b, float c) { return a * b + c; }
#endif

INLINE float of_half(u16 h) {
#if defined(__AVX2__)
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
#else
  u32 sign = (u32)(h & 0x8000) << 16, rest = h & 0x7fff;
  if (rest >= 0x7c00) return of_bits(sign | 0x7f800000u | rest << 13);
  if (rest < 0x0400) return of_bits(sign | bits_of((float)rest * 5.9604644775390625e-8f));
  return of_bits(sign | ((rest << 13) + 0x38000000u));
#endif
}

INLINE u16 to_half(float x) {
#if defined(__AVX2__)
  return (u16)_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x), 0));
#else
  u32 bits = bits_of(x), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000u) return (u16)(sign | 0x7e00);
  if (rest >= 0x477ff000u) return (u16)(sign | 0x7c00);
  if (rest < 0x38800000u) return (u16)(sign | (u32)std::nearbyint(of_bits(rest) * 16777216.0f));
  rest += 0xfff + (rest >> 13 & 1);
  return (u16)(sign | ((rest - 0x38000000u) >> 13));
#endif
}

INLINE u16 to_bfloat(float x) {  // to nearest, ties to even; NaN stays NaN
  u32 bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (u16)(bits >> 16 | 64);
  return (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

struct BFloat16 { u16 bits; };
struct Float16 { u16 bits; };
INLINE float to_float(BFloat16 x) { return of_bits((u32)x.bits << 16); }
INLINE float to_float(Float16 x) { return of_half(x.bits); }
INLINE float to_float(float x) { return x; }
INLINE void put(BFloat16* to, float x) { to->bits = to_bfloat(x); }
INLINE void put(Float16* to, float x) { to->bits = to_half(x); }
INLINE void put(float* to, float x) { *to = x; }

// Eight floats.
#if defined(__AVX2__)
struct F8 { __m256 v; };
INLINE F8 all(float x) { return {_mm256_set1_ps(x)}; }
INLINE F8 load8(const float* p) { return {_mm256_loadu_ps(p)}; }
INLINE F8 load8(const BFloat16* p) { return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16))}; }
INLINE F8 load8(const Float16* p) { return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p))}; }
INLINE void store8(float* p, F8 a) { _mm256_storeu_ps(p, a.v); }
INLINE void store8(Float16* p, F8 a) { _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(a.v, 0)); }
INLINE void store8(BFloat16* p, F8 a) {
  __m256i bits = _mm256_castps_si256(a.v), one = _mm256_set1_epi32(1);
  __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
  __m256i up = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(64));
  __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
  __m256i found = _mm256_blendv_epi8(up, quiet, nan);
  __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(found, found), 0x08);
  _mm_storeu_si128((__m128i*)p, _mm256_castsi256_si128(packed));
}
INLINE F8 operator+(F8 a, F8 b) { return {_mm256_add_ps(a.v, b.v)}; }
INLINE F8 operator-(F8 a, F8 b) { return {_mm256_sub_ps(a.v, b.v)}; }
INLINE F8 operator*(F8 a, F8 b) { return {_mm256_mul_ps(a.v, b.v)}; }
INLINE F8 operator/(F8 a, F8 b) { return {_mm256_div_ps(a.v, b.v)}; }
INLINE F8 madd(F8 a, F8 b, F8 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
INLINE F8 most(F8 a, F8 b) { return {_mm256_max_ps(a.v, b.v)}; }
INLINE F8 least(F8 a, F8 b) { return {_mm256_min_ps(a.v, b.v)}; }
INLINE F8 size_of(F8 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
INLINE F8 whole(F8 a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
INLINE void integers(F8 a, int16_t* out) {  // to nearest, ties to even
  __m256i n = _mm256_cvtps_epi32(a.v);
  _mm_storeu_si128((__m128i*)out, _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256(n, 1)));
}
INLINE F8 power_of_two(F8 a) { return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(a.v), _mm256_set1_epi32(127)), 23))}; }
#else
struct F8 { float v[8]; };
#define EACH(expression) F8 r; for (int i = 0; i < 8; i++) r.v[i] = (expression); return r
INLINE F8 all(float x) { EACH(x); }
template <class E> INLINE F8 load8(const E* p) { EACH(to_float(p[i])); }
template <class E> INLINE void store8(E* p, F8 a) { for (int i = 0; i < 8; i++) put(p + i, a.v[i]); }
INLINE F8 operator+(F8 a, F8 b) { EACH(a.v[i] + b.v[i]); }
INLINE F8 operator-(F8 a, F8 b) { EACH(a.v[i] - b.v[i]); }
INLINE F8 operator*(F8 a, F8 b) { EACH(a.v[i] * b.v[i]); }
INLINE F8 operator/(F8 a, F8 b) { EACH(a.v[i] / b.v[i]); }
INLINE F8 madd(F8 a, F8 b, F8 c) { EACH(madd(a.v[i], b.v[i], c.v[i])); }
INLINE F8 most(F8 a, F8 b) { EACH(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
INLINE F8 least(F8 a, F8 b) { EACH(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
INLINE F8 size_of(F8 a) { EACH(std::fabs(a.v[i])); }
INLINE F8 whole(F8 a) { EACH(std::nearbyint(a.v[i])); }
INLINE void integers(F8 a, int16_t* out) { for (int i = 0; i < 8; i++) out[i] = (int16_t)std::nearbyint(a.v[i]); }
INLINE F8 power_of_two(F8 a) { EACH(of_bits((u32)((int)a.v[i] + 127) << 23)); }
#endif

INLINE float sum(F8 a) {
  float v[8];
  store8(v, a);
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}
INLINE float largest(F8 a) {
  float v[8];
  store8(v, a);
  return *std::max_element(v, v + 8);
}

// e to the x, 2e-7 off at most (Cephes' polynomial); 0 below -87.
INLINE F8 exponential(F8 x) {
  x = most(least(x, all(88.0f)), all(-87.3f));
  F8 n = whole(x * all(1.44269504088896341f));
  F8 r = madd(n, all(-0.693359375f), x);
  r = madd(n, all(2.12194440e-4f), r);
  F8 p = all(1.9875691500e-4f);
  p = madd(p, r, all(1.3981999507e-3f));
  p = madd(p, r, all(8.3334519073e-3f));
  p = madd(p, r, all(4.1665795894e-2f));
  p = madd(p, r, all(1.6666665459e-1f));
  p = madd(p, r, all(5.0000001201e-1f));
  p = madd(p, r * r, r) + all(1.0f);
  return p * power_of_two(n);
}

INLINE F8 activated(F8 gate, int activation) {
  if (activation == 0) return gate / (all(1.0f) + exponential(all(0.0f) - gate));
  if (activation == 1) {
    F8 inner = all(0.7978845608028654f) * madd(all(0.044715f) * gate * gate, gate, gate);
    return gate * (all(1.0f) - all(1.0f) / (all(1.0f) + exponential(inner + inner)));
  }
  float v[8];
  store8(v, gate);
  for (float& x : v) x = 0.5f * x * (1.0f + std::erf(x * 0.7071067811865476f));
  return load8(v);
}

// ------------------------------------------------------------------------------ formats

struct Part {
  const u8* plane[4];        // codes, then scales, as Format.planes has them
  int32_t format, rows;      // a place in FORMATS, and rows of one expert
  int32_t begin, unused;     // the first row in the whole
};

const int GROUP = 32, BLOCK = 8;  // values of a group, groups of a block of 256

// The levels of a group's 32 codes in order, as 16-bit integers.
#if defined(__AVX2__)
struct Levels { __m256i first, last; };
INLINE __m256i wide(__m128i bytes, std::true_type) { return _mm256_cvtepi8_epi16(bytes); }
INLINE __m256i wide(__m128i bytes, std::false_type) { return _mm256_cvtepu8_epi16(bytes); }
INLINE __m256i nibbles(const u8* p) {
  __m128i raw = _mm_loadu_si128((const __m128i*)p);
  __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(raw), _mm_srli_epi16(raw, 4), 1);
  return _mm256_and_si256(both, _mm256_set1_epi8(15));
}
INLINE __m256i two_bits(const u8* p) {  // word w of two has packs 4w to 4w + 3
  __m256i raw = _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i*)p));
  raw = _mm256_permutevar8x32_epi32(raw, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
  raw = _mm256_srlv_epi32(raw, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
  return _mm256_and_si256(raw, _mm256_set1_epi8(3));
}
INLINE __m256i one_bit(const u8* p, int place) {
  int32_t word;
  std::memcpy(&word, p, 4);
  __m256i raw = _mm256_srlv_epi32(_mm256_set1_epi32(word), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  return _mm256_slli_epi16(_mm256_and_si256(raw, _mm256_set1_epi8(1)), place);
}
typedef __m256i Codes;
struct Fours { const u8* at; };  // codes of four bits, not yet read
#else
struct Levels { int16_t v[32]; };
struct Codes { u8 v[32]; };
INLINE u8 nibble(const u8* p, int i) { return i < 16 ? p[i] & 15 : p[i - 16] >> 4; }
INLINE u8 two_bits(const u8* p, int i) { return p[i / 16 * 4 + i % 4] >> (2 * (i / 4 % 4)) & 3; }
INLINE u8 one_bit(const u8* p, int i) { return p[i % 4] >> (i / 4) & 1; }
#endif

// What the next rows begin with, which no processor guesses: rows lie apart by no simple step.
INLINE void fetch_ahead(const u8* p) {
#if defined(__AVX2__)
  _mm_prefetch((const char*)p, _MM_HINT_T0);
#else
  (void)p;
#endif
}

struct Codes8 {
  static const int PLANES = 1, BYTES = 32;  // bytes of a group in the first
#if defined(__AVX2__)
  static MEMBER Codes get(const Part& p, i64 g) { return _mm256_loadu_si256((const __m256i*)(p.plane[0] + g * 32)); }
#else
  static MEMBER Codes get(const Part& p, i64 g) { Codes c; std::memcpy(c.v, p.plane[0] + g * 32, 32); return c; }
#endif
};
struct Codes4 {
  static const int PLANES = 1, BYTES = 16;  // bytes of a group in the first
#if defined(__AVX2__)
  static MEMBER Fours get(const Part& p, i64 g) { return {p.plane[0] + g * 16}; }
#else
  static MEMBER Codes get(const Part& p, i64 g) { Codes c; for (int i = 0; i < 32; i++) c.v[i] = nibble(p.plane[0] + g * 16, i); return c; }
#endif
};
struct Codes5 {
  static const int PLANES = 2, BYTES = 16;  // bytes of a group in the first
#if defined(__AVX2__)
  static MEMBER Codes get(const Part& p, i64 g) { return _mm256_or_si256(nibbles(p.plane[0] + g * 16), one_bit(p.plane[1] + g * 4, 4)); }
#else
  static MEMBER Codes get(const Part& p, i64 g) { Codes c; for (int i = 0; i < 32; i++) c.v[i] = nibble(p.plane[0] + g * 16, i) | one_bit(p.plane[1] + g * 4, i) << 4; return c; }
#endif
};
struct Codes6 {
  static const int PLANES = 2, BYTES = 16;  // bytes of a group in the first
#if defined(__AVX2__)
  static MEMBER Codes get(const Part& p, i64 g) { return _mm256_or_si256(nibbles(p.plane[0] + g * 16), _mm256_slli_epi16(two_bits(p.plane[1] + g * 8), 4)); }
#else
  static MEMBER Codes get(const Part& p, i64 g) { Codes c; for (int i = 0; i < 32; i++) c.v[i] = nibble(p.plane[0] + g * 16, i) | two_bits(p.plane[1] + g * 8, i) << 4; return c; }
#endif
};
struct Codes2 {
  static const int PLANES = 1, BYTES = 8;  // bytes of a group in the first
#if defined(__AVX2__)
  static MEMBER Codes get(const Part& p, i64 g) { return two_bits(p.plane[0] + g * 8); }
#else
  static MEMBER Codes get(const Part& p, i64 g) { Codes c; for (int i = 0; i < 32; i++) c.v[i] = two_bits(p.plane[0] + g * 8, i); return c; }
#endif
};
struct Codes3 {
  static const int PLANES = 2, BYTES = 8;  // bytes of a group in the first
#if defined(__AVX2__)
  static MEMBER Codes get(const Part& p, i64 g) { return _mm256_or_si256(two_bits(p.plane[0] + g * 8), one_bit(p.plane[1] + g * 4, 2)); }
#else
  static MEMBER Codes get(const Part& p, i64 g) { Codes c; for (int i = 0; i < 32; i++) c.v[i] = two_bits(p.plane[0] + g * 8, i) | one_bit(p.plane[1] + g * 4, i) << 2; return c; }
#endif
};

#if defined(__AVX2__)
template <bool SIGNED> INLINE Levels widened(Codes c) {
  typedef std::integral_constant<bool, SIGNED> Is;
  return {wide(_mm256_castsi256_si128(c), Is()), wide(_mm256_extracti128_si256(c, 1), Is())};
}
#endif

template <int BY> struct Offset {
#if defined(__AVX2__)
  static MEMBER Levels of(Codes c) { return less(widened<false>(c)); }
  static MEMBER Levels of(Fours c) {
    __m256i both = wide(_mm_loadu_si128((const __m128i*)c.at), std::false_type());
    return less({_mm256_and_si256(both, _mm256_set1_epi16(15)), _mm256_srli_epi16(both, 4)});
  }
  static MEMBER Levels less(Levels l) {
    if (BY == 0) return l;
    __m256i by = _mm256_set1_epi16(BY);
    return {_mm256_sub_epi16(l.first, by), _mm256_sub_epi16(l.last, by)};
  }
#else
  static MEMBER Levels of(Codes c) { Levels l; for (int i = 0; i < 32; i++) l.v[i] = (int16_t)(c.v[i] - BY); return l; }
#endif
};
struct Signed {
#if defined(__AVX2__)
  static MEMBER Levels of(Codes c) { return widened<true>(c); }
#else
  static MEMBER Levels of(Codes c) { Levels l; for (int i = 0; i < 32; i++) l.v[i] = (int8_t)c.v[i]; return l; }
#endif
};
struct TableIQ4 { static const int8_t* of() { static const int8_t t[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}; return t; } };
struct TableE2M1 { static const int8_t* of() { static const int8_t t[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}; return t; } };
template <class T> struct Table {
#if defined(__AVX2__)
  static MEMBER Levels of(Fours c) {
    __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)T::of()));
    return widened<true>(_mm256_shuffle_epi8(table, nibbles(c.at)));
  }
#else
  static MEMBER Levels of(Codes c) { Levels l; for (int i = 0; i < 32; i++) l.v[i] = T::of()[c.v[i]]; return l; }
#endif
};

// The scales of up to eight groups of a block, and what is taken off: of each group's first 16
// values and, if HALVES, of its last. `at` is the plane's place in Part, `g` the first group and
// `block` its block, both counted over all rows.
struct Found { float scale[2][BLOCK], minimum[2][BLOCK]; };
INLINE u16 half_at(const u8* p, i64 i) { u16 h; std::memcpy(&h, p + 2 * i, 2); return h; }

struct Scale {
  static const bool HALVES = false, MINIMUM = false;
  static MEMBER void get(const Part& p, int at, i64 g, i64, int n, Found& f) {
    const u8* d = p.plane[at];
#if defined(__AVX2__)
    if (n == BLOCK) { store8(f.scale[0], load8((const Float16*)(d + 2 * g))); return; }
#endif
    for (int i = 0; i < n; i++) f.scale[0][i] = of_half(half_at(d, g + i));
  }
};
struct ScaleAndMinimum {
  static const bool HALVES = false, MINIMUM = true;
  static MEMBER void get(const Part& p, int at, i64 g, i64, int n, Found& f) {
    const u8* d = p.plane[at];
#if defined(__AVX2__)
    if (n == BLOCK) {
      __m256 a = load8((const Float16*)(d + 4 * g)).v, b = load8((const Float16*)(d + 4 * g + 16)).v;
      __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88)), odd = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd));
      _mm256_storeu_ps(f.scale[0], _mm256_castpd_ps(_mm256_permute4x64_pd(even, 0xd8)));
      __m256 m = _mm256_castpd_ps(_mm256_permute4x64_pd(odd, 0xd8));
      _mm256_storeu_ps(f.minimum[0], _mm256_xor_ps(m, _mm256_set1_ps(-0.0f)));
      return;
    }
#endif
    for (int i = 0; i < n; i++) {
      f.scale[0][i] = of_half(half_at(d, 2 * (g + i)));
      f.minimum[0][i] = -of_half(half_at(d, 2 * (g + i) + 1));
    }
  }
};
struct Of32 {
  static const bool HALVES = false, MINIMUM = true;
  static MEMBER void get(const Part& p, int at, i64 g, i64 block, int n, Found& f) {
    const u8* small = p.plane[at] + 2 * g;
    float d = of_half(half_at(p.plane[at + 1], 2 * block)), m = of_half(half_at(p.plane[at + 1], 2 * block + 1));
    for (int i = 0; i < n; i++) { f.scale[0][i] = d * (float)small[2 * i]; f.minimum[0][i] = m * (float)small[2 * i + 1]; }
  }
};
struct Of16 {
  static const bool HALVES = true, MINIMUM = false;
  static MEMBER void get(const Part& p, int at, i64 g, i64 block, int n, Found& f) {
    const int8_t* small = (const int8_t*)p.plane[at] + 2 * g;
    float d = of_half(half_at(p.plane[at + 1], block));
    for (int i = 0; i < n; i++) { f.scale[0][i] = d * (float)small[2 * i]; f.scale[1][i] = d * (float)small[2 * i + 1]; }
  }
};
struct Of16WithMinimum {
  static const bool HALVES = true, MINIMUM = true;
  static MEMBER void get(const Part& p, int at, i64 g, i64 block, int n, Found& f) {
    const u8* small = p.plane[at] + 2 * g;
    float d = of_half(half_at(p.plane[at + 1], 2 * block)), m = of_half(half_at(p.plane[at + 1], 2 * block + 1));
    for (int h = 0; h < 2; h++)
      for (int i = 0; i < n; i++) { f.scale[h][i] = d * (float)(small[2 * i + h] & 15); f.minimum[h][i] = m * (float)(small[2 * i + h] >> 4); }
  }
};
struct Signed32 {
  static const bool HALVES = false, MINIMUM = false;
  static MEMBER void get(const Part& p, int at, i64 g, i64 block, int n, Found& f) {
    const int8_t* small = (const int8_t*)p.plane[at] + g;
    float d = of_half(half_at(p.plane[at + 1], block));
    for (int i = 0; i < n; i++) f.scale[0][i] = d * (float)small[i];
  }
};
struct PowerOfTwo {
  static const bool HALVES = false, MINIMUM = false;
  static MEMBER void get(const Part& p, int at, i64 g, i64, int n, Found& f) {
    const u8* e = p.plane[at] + g;
    for (int i = 0; i < n; i++) f.scale[0][i] = of_bits(e[i] < 2 ? 0x00200000u << e[i] : (u32)(e[i] - 1) << 23);
  }
};

template <class C, class L, class S> struct Format {
  typedef C CodesOf;
  typedef L LevelsOf;
  typedef S ScalesOf;
  static MEMBER Levels levels(const Part& p, i64 g) { return L::of(C::get(p, g)); }
  static MEMBER void scales(const Part& p, i64 row, int g, int groups, int n, Found& f) {
    S::get(p, C::PLANES, row * groups + g, row * (groups / BLOCK) + g / BLOCK, n, f);
  }
};

// ------------------------------------------------------------------------------ products

// Rows of activations as integers: value = unit of its group times integer.
struct Integers {
  int groups;
  std::vector<int16_t> values;       // [tokens, columns]
  std::vector<float> unit;           // [tokens, padded]
  std::vector<float> sums[3];        // the same: the sum of a group's values, of its halves
  std::vector<float> plain;          // [tokens, columns], as they are, for weights of plain numbers
  int padded() const { return (groups + BLOCK - 1) / BLOCK * BLOCK; }
  void resize(int tokens, int columns) {
    groups = columns / GROUP;
    values.resize((size_t)tokens * columns);
    unit.assign((size_t)tokens * padded(), 0.0f);
    for (auto& one : sums) one.assign((size_t)tokens * padded(), 0.0f);
  }
};

struct Norm { const void* weight; float epsilon, offset; };

// One row times its norm, in float32.
template <class E> INLINE void normed(const E* x, int columns, const Norm& norm, float* out) {
  if (!norm.weight) {
    for (int i = 0; i < columns; i += 8) store8(out + i, load8(x + i));
    return;
  }
  F8 squares = all(0.0f);
  for (int i = 0; i < columns; i += 8) { F8 v = load8(x + i); squares = madd(v, v, squares); }
  F8 factor = all(1.0f / std::sqrt(sum(squares) / (float)columns + norm.epsilon));
  const E* weight = (const E*)norm.weight;
  for (int i = 0; i < columns; i += 8)
    store8(out + i, load8(x + i) * factor * (load8(weight + i) + all(norm.offset)));
}

const float LARGEST = 32512.0f;

static void integers_of_row(const float* v, Integers& to, int token) {
  int groups = to.groups;
  int16_t* out = to.values.data() + (i64)token * groups * GROUP;
  i64 base = (i64)token * to.padded();
  for (int g = 0; g < groups; g++) {
    const float* x = v + g * GROUP;
    F8 sizes = all(0.0f), any = all(0.0f);
    for (int i = 0; i < GROUP; i += 8) { F8 a = load8(x + i); sizes = most(size_of(a), sizes); any = any + a; }
    float highest = largest(sizes), check = sum(any);
    float unit = highest * (1.0f / LARGEST), inverse = highest > 1e-30f ? LARGEST / highest : 0.0f;
    if (!(check - check == 0.0f)) unit = std::numeric_limits<float>::quiet_NaN();
    int16_t* to_group = out + g * GROUP;
    for (int i = 0; i < GROUP; i += 8) integers(least(most(load8(x + i) * all(inverse), all(-LARGEST)), all(LARGEST)), to_group + i);
    int32_t halves[2] = {0, 0};
    for (int i = 0; i < 16; i++) { halves[0] += to_group[i]; halves[1] += to_group[16 + i]; }
    to.unit[base + g] = unit;
    to.sums[0][base + g] = unit * (float)(halves[0] + halves[1]);
    to.sums[1][base + g] = unit * (float)halves[0];
    to.sums[2][base + g] = unit * (float)halves[1];
  }
}

struct Weight {
  Part part[3];
  int32_t parts, columns, rows;  // rows of one expert
  int32_t dense;                 // whether plane 0 of the only part has plain numbers
  const void* bias;
};

#if defined(__AVX2__)
INLINE F8 dot16(__m256i levels, const int16_t* x) { return {_mm256_cvtepi32_ps(_mm256_madd_epi16(levels, _mm256_loadu_si256((const __m256i*)x)))}; }
INLINE F8 first_dot(const Levels& l, const int16_t* x) { return dot16(l.first, x); }
INLINE F8 last_dot(const Levels& l, const int16_t* x) { return dot16(l.last, x + 16); }
INLINE F8 dot(const Levels& l, const int16_t* x) {
  __m256i a = _mm256_madd_epi16(l.first, _mm256_loadu_si256((const __m256i*)x));
  __m256i b = _mm256_madd_epi16(l.last, _mm256_loadu_si256((const __m256i*)(x + 16)));
  return {_mm256_cvtepi32_ps(_mm256_add_epi32(a, b))};
}
#else
INLINE F8 first_dot(const Levels& l, const int16_t* x) { EACH((float)(l.v[2 * i] * (int)x[2 * i] + l.v[2 * i + 1] * (int)x[2 * i + 1])); }
INLINE F8 last_dot(const Levels& l, const int16_t* x) { EACH((float)(l.v[16 + 2 * i] * (int)x[16 + 2 * i] + l.v[17 + 2 * i] * (int)x[17 + 2 * i])); }
INLINE F8 dot(const Levels& l, const int16_t* x) {
  EACH((float)(l.v[2 * i] * (int)x[2 * i] + l.v[2 * i + 1] * (int)x[2 * i + 1] + l.v[16 + 2 * i] * (int)x[16 + 2 * i] + l.v[17 + 2 * i] * (int)x[17 + 2 * i]));
}
#endif

// R rows of a weight times T rows of activations from `token` on: out [R, T].
template <class F, int R, int T> static void blocks_dot(const Part& p, const i64* row, const Integers& x, int token, float* out) {
  typedef typename F::ScalesOf S;
  const int groups = x.groups, padded = x.padded(), halves = S::HALVES ? 2 : 1;
  const int16_t* values = x.values.data() + (i64)token * groups * GROUP;
  const float* unit = x.unit.data() + (i64)token * padded;
  F8 total[R][T], off[R][T];
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int t = 0; t < T; t++) total[r][t] = off[r][t] = all(0.0f);
  for (int g0 = 0; g0 < groups; g0 += BLOCK) {
    int n = std::min(BLOCK, groups - g0);
    float scale[R][T][2][BLOCK];
    UNROLL for (int r = 0; r < R; r++) {
      Found f;
      if (n < BLOCK) std::memset(&f, 0, sizeof f);
      F::scales(p, row[r], g0, groups, n, f);
      UNROLL for (int t = 0; t < T; t++) {
        UNROLL for (int h = 0; h < halves; h++) {
          store8(scale[r][t][h], load8(f.scale[h]) * load8(unit + t * padded + g0));
          if (S::MINIMUM) {
            const float* sums = x.sums[S::HALVES ? h + 1 : 0].data() + (i64)(token + t) * padded;
            off[r][t] = madd(load8(f.minimum[h]), load8(sums + g0), off[r][t]);
          }
        }
      }
    }
    for (int i = 0; i < n; i++) {
      const int16_t* v = values + (g0 + i) * GROUP;
      UNROLL for (int r = 0; r < R; r++) {
        fetch_ahead(p.plane[0] + (row[r] * groups + g0 + i + (R + 1) * groups) * F::CodesOf::BYTES);
        Levels l = F::levels(p, row[r] * groups + g0 + i);
        UNROLL for (int t = 0; t < T; t++) {
          const int16_t* vt = v + (i64)t * groups * GROUP;
          if (S::HALVES) {
            total[r][t] = madd(first_dot(l, vt), all(scale[r][t][0][i]), total[r][t]);
            total[r][t] = madd(last_dot(l, vt), all(scale[r][t][1][i]), total[r][t]);
          } else {
            total[r][t] = madd(dot(l, vt), all(scale[r][t][0][i]), total[r][t]);
          }
        }
      }
    }
  }
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int t = 0; t < T; t++) out[r * T + t] = sum(S::MINIMUM ? total[r][t] - off[r][t] : total[r][t]);
}

// The same for a weight of plain numbers.
template <class E, int R, int T> static void plain_dot(const Part& p, const i64* row, const Integers& x, int token, float* out) {
  const i64 columns = (i64)x.groups * GROUP;
  const float* values = x.plain.data() + token * columns;
  F8 total[R][T][2];
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int t = 0; t < T; t++) total[r][t][0] = total[r][t][1] = all(0.0f);
  for (i64 c = 0; c < columns; c += 16)
    UNROLL for (int r = 0; r < R; r++)
      UNROLL for (int h = 0; h < 2; h++) {
        F8 w = load8((const E*)p.plane[0] + row[r] * columns + c + 8 * h);
        UNROLL for (int t = 0; t < T; t++) total[r][t][h] = madd(w, load8(values + t * columns + c + 8 * h), total[r][t][h]);
      }
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int t = 0; t < T; t++) out[r * T + t] = sum(total[r][t][0] + total[r][t][1]);
}

typedef void (*Dot)(const Part&, const i64*, const Integers&, int, float*);
struct Dots { Dot one, four; };  // 4 rows of the weight by 1 of activations, 2 by 4
template <class F> Dots dots_of() { return {blocks_dot<F, 4, 1>, blocks_dot<F, 2, 4>}; }
template <class E> Dots plain_dots() { return {plain_dot<E, 4, 1>, plain_dot<E, 2, 4>}; }

// Values of a row from its planes, each as gguf's dequantize gives it.
template <class F> static void row_values(const Part& p, i64 row, int groups, float* out) {
  typedef typename F::ScalesOf S;
  for (int g0 = 0; g0 < groups; g0 += BLOCK) {
    int n = std::min(BLOCK, groups - g0);
    Found f;
    F::scales(p, row, g0, groups, n, f);
    for (int i = 0; i < n; i++) {
      Levels l = F::levels(p, row * groups + g0 + i);
      int16_t levels[GROUP];
      std::memcpy(levels, &l, sizeof levels);
      for (int j = 0; j < GROUP; j += 8) {
        int h = S::HALVES && j >= 16;
#if defined(__AVX2__)
        F8 v = {_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i*)(levels + j))))};
#else
        F8 v;
        for (int k = 0; k < 8; k++) v.v[k] = (float)levels[j + k];
#endif
        v = v * all(f.scale[h][i]);
        if (S::MINIMUM) v = v - all(f.minimum[h][i]);
        store8(out + (g0 + i) * GROUP + j, v);
      }
    }
  }
}

// ------------------------------------------------------------------------------ many rows

// A panel of 16 rows of a weight, its columns in stretches that a cache holds. Pairs of levels of 8
// rows lie together, so that eight lanes are eight rows, and a pair of activations meets all of them.
const int PANEL = 16, STRETCH = 16;  // rows, groups

struct Panel {
  int32_t pairs[STRETCH * GROUP / 2][PANEL];
  float scale[STRETCH][2][PANEL], minimum[STRETCH][2][PANEL];
};

// Groups [g0, g0 + count) of `rows` rows from `row` on; rows that are not there are zeros.
template <class F> static void pack(const Part& p, i64 row, int rows, int groups, int g0, int count, Panel& to) {
  typedef typename F::ScalesOf S;
  if (rows < PANEL) std::memset(&to, 0, sizeof to);
  for (int r = 0; r < rows; r++)
    for (int b = 0; b < count; b += BLOCK) {
      int n = std::min(BLOCK, count - b);
      Found f;
      F::scales(p, row + r, g0 + b, groups, n, f);
      for (int i = 0; i < n; i++) {
        for (int h = 0; h < (S::HALVES ? 2 : 1); h++) {
          to.scale[b + i][h][r] = f.scale[h][i];
          if (S::MINIMUM) to.minimum[b + i][h][r] = f.minimum[h][i];
        }
        Levels l = F::levels(p, (row + r) * groups + g0 + b + i);
        int32_t pairs[GROUP / 2];
        std::memcpy(pairs, &l, sizeof pairs);
        for (int k = 0; k < GROUP / 2; k++) to.pairs[(b + i) * (GROUP / 2) + k][r] = pairs[k];
      }
    }
}

#if defined(__AVX2__)
struct I8 { __m256i v; };
INLINE I8 none8() { return {_mm256_setzero_si256()}; }
INLINE I8 add_pairs(I8 sum, const int32_t* levels, int32_t x) {
  return {_mm256_add_epi32(sum.v, _mm256_madd_epi16(_mm256_loadu_si256((const __m256i*)levels), _mm256_set1_epi32(x)))};
}
INLINE F8 floats(I8 a) { return {_mm256_cvtepi32_ps(a.v)}; }
#else
struct I8 { int32_t v[8]; };
INLINE I8 none8() { return {{0, 0, 0, 0, 0, 0, 0, 0}}; }
INLINE I8 add_pairs(I8 sum, const int32_t* levels, int32_t x) {
  int16_t w[16], two[2];
  std::memcpy(w, levels, sizeof w);
  std::memcpy(two, &x, sizeof two);
  for (int i = 0; i < 8; i++) sum.v[i] += w[2 * i] * two[0] + w[2 * i + 1] * two[1];
  return sum;
}
INLINE F8 floats(I8 a) { EACH((float)a.v[i]); }
#endif

// T rows of activations from `token` on times a packed panel, added to total [T, PANEL].
template <bool HALVES, bool MINIMUM, int T> static void panel_dot(const Panel& w, const Integers& x, int token, int g0, int count, float* total) {
  const int padded = x.padded(), pairs = x.groups * GROUP / 2, parts = HALVES ? 2 : 1, length = GROUP / 2 / parts;
  const int32_t* values = (const int32_t*)x.values.data() + (i64)token * pairs;
  const float *unit = x.unit.data() + (i64)token * padded;
  for (int g = 0; g < count; g++) {
    for (int h = 0; h < parts; h++) {
      I8 found[T][2];
      UNROLL for (int t = 0; t < T; t++) found[t][0] = found[t][1] = none8();
      const int first = g * (GROUP / 2) + h * length;
      for (int k = 0; k < length; k++) {
        const int32_t* levels = w.pairs[first + k];
        UNROLL for (int t = 0; t < T; t++) {
          int32_t v = values[(i64)t * pairs + g0 * (GROUP / 2) + first + k];
          found[t][0] = add_pairs(found[t][0], levels, v);
          found[t][1] = add_pairs(found[t][1], levels + 8, v);
        }
      }
      UNROLL for (int t = 0; t < T; t++) {
        const F8 by = all(unit[t * padded + g0 + g]);
        UNROLL for (int j = 0; j < 2; j++) {
          float* to = total + t * PANEL + 8 * j;
          F8 v = madd(floats(found[t][j]), load8(w.scale[g][h] + 8 * j) * by, load8(to));
          if (MINIMUM) v = v - load8(w.minimum[g][h] + 8 * j) * all(x.sums[HALVES ? h + 1 : 0][(i64)(token + t) * padded + g0 + g]);
          store8(to, v);
        }
      }
    }
  }
}

template <class F> static void panel_product(const Part& p, i64 row, int rows, const Integers& x, int tokens, float* total) {
  typedef typename F::ScalesOf S;
  static thread_local Panel* panel = new Panel;
  for (int g0 = 0; g0 < x.groups; g0 += STRETCH) {
    int count = std::min(STRETCH, x.groups - g0), t = 0;
    pack<F>(p, row, rows, x.groups, g0, count, *panel);
    for (; t + 4 <= tokens; t += 4) panel_dot<S::HALVES, S::MINIMUM, 4>(*panel, x, t, g0, count, total + t * PANEL);
    for (; t < tokens; t++) panel_dot<S::HALVES, S::MINIMUM, 1>(*panel, x, t, g0, count, total + t * PANEL);
  }
}

typedef void (*Many)(const Part&, i64, int, const Integers&, int, float*);
typedef void (*Values)(const Part&, i64, int, float*);

struct Row {
  const char* name;
  Dots dots;
  Many many;
  Values values;
};
template <class F> Row row_of(const char* name) {
  return {name, dots_of<F>(), panel_product<F>, row_values<F>};
}
static const Row FORMATS[] = {
  row_of<Format<Codes4, Offset<8>, Scale>>("Q4_0"),
  row_of<Format<Codes4, Offset<0>, ScaleAndMinimum>>("Q4_1"),
  row_of<Format<Codes5, Offset<16>, Scale>>("Q5_0"),
  row_of<Format<Codes5, Offset<0>, ScaleAndMinimum>>("Q5_1"),
  row_of<Format<Codes8, Signed, Scale>>("Q8_0"),
  row_of<Format<Codes2, Offset<0>, Of16WithMinimum>>("Q2_K"),
  row_of<Format<Codes3, Offset<4>, Of16>>("Q3_K"),
  row_of<Format<Codes4, Offset<0>, Of32>>("Q4_K"),
  row_of<Format<Codes5, Offset<0>, Of32>>("Q5_K"),
  row_of<Format<Codes6, Offset<32>, Of16>>("Q6_K"),
  row_of<Format<Codes4, Table<TableIQ4>, Scale>>("IQ4_NL"),
  row_of<Format<Codes4, Table<TableIQ4>, Signed32>>("IQ4_XS"),
  row_of<Format<Codes4, Table<TableE2M1>, PowerOfTwo>>("MXFP4"),
};
static const Dots PLAIN[] = {plain_dots<BFloat16>(), plain_dots<Float16>(), plain_dots<float>()};

const int PIECE = 64;  // rows of a result that a thread takes at a time

template <class E, class O> struct Product {
  const Weight& w;
  const Integers& x;
  const E* residual;
  O* out;
  int tokens, activation;
  i64 first;  // row of the planes
  i64 out_columns;

  Dots dots_for(const Part& p) const {
    return w.dense ? PLAIN[p.format] : FORMATS[p.format].dots;
  }

  void finish(int t, i64 at, float v) const {
    if (w.bias) v += to_float(((const E*)w.bias)[at]);
    if (residual) v += to_float(residual[t * out_columns + at]);
    put(out + t * out_columns + at, v);
  }

  // Rows [begin, end) of a part's share of the result.
  void piece(const Part& p, i64 begin, i64 end) const {
    Dots dots = dots_for(p);
    const bool gated = activation >= 0;
    const i64 half = p.rows / 2;
    for (int t = 0; t < tokens;) {
      int count = tokens - t >= 4 ? 4 : 1;
      int rows = count == 1 ? 4 : 2;
      Dot dot = count == 4 ? dots.four : dots.one;
      if (gated) {
        int each = rows / 2;
        for (i64 r = begin; r < end; r += 8) {
          float both[2][4][8];
          for (int k = 0; k < 8; k += each) {
            i64 row[4];
            for (int j = 0; j < each; j++) {
              i64 at = std::min(r + k + j, end - 1);
              row[j] = first + at;
              row[each + j] = first + half + at;
            }
            float found[8];
            dot(p, row, x, t, found);
            for (int j = 0; j < each; j++)
              for (int c = 0; c < count; c++) {
                both[0][c][k + j] = found[j * count + c];
                both[1][c][k + j] = found[(each + j) * count + c];
              }
          }
          for (int c = 0; c < count; c++) {
            float result[8];
            store8(result, activated(load8(both[0][c]), activation) * load8(both[1][c]));
            for (int k = 0; k < 8 && r + k < end; k++) put(out + (t + c) * out_columns + r + k, result[k]);
          }
        }
      } else {
        for (i64 r = begin; r < end; r += rows) {
          i64 row[4];
          for (int j = 0; j < rows; j++) row[j] = first + std::min(r + j, end - 1);
          float found[8];
          dot(p, row, x, t, found);
          for (int j = 0; j < rows && r + j < end; j++)
            for (int c = 0; c < count; c++) finish(t + c, p.begin + r + j, found[j * count + c]);
        }
      }
      t += count;
    }
  }
};

template <class E, class O> static void product(const Weight& w, const E* x, i64 x_stride, const Norm& norm, const E* residual, O* out, int tokens, int activation, int expert, int threads) {
  static thread_local Integers held;
  static thread_local std::vector<float> row;
  Integers& ints = held;
  ints.groups = w.columns / GROUP;
  if (w.dense) {
    ints.plain.resize((size_t)tokens * w.columns);
    for (int t = 0; t < tokens; t++) normed(x + t * x_stride, w.columns, norm, ints.plain.data() + (size_t)t * w.columns);
  } else {
    ints.resize(tokens, w.columns);
    row.resize(w.columns);
    for (int t = 0; t < tokens; t++) {
      normed(x + t * x_stride, w.columns, norm, row.data());
      integers_of_row(row.data(), ints, t);
    }
  }
  const int divisor = activation >= 0 ? 2 : 1;
  i64 pieces[4] = {0, 0, 0, 0};
  for (int i = 0; i < w.parts; i++) pieces[i + 1] = pieces[i] + (w.part[i].rows / divisor + PIECE - 1) / PIECE;
  parallel(threads, pieces[w.parts], [&](i64 k) {
    int i = 0;
    while (k >= pieces[i + 1]) i++;
    const Part& p = w.part[i];
    Product<E, O> job{w, ints, residual, out, tokens, activation, (i64)expert * p.rows, (i64)w.rows / divisor};
    i64 begin = (k - pieces[i]) * PIECE;
    job.piece(p, begin, std::min<i64>(begin + PIECE, p.rows / divisor));
  });
}

// Calls `body` with a value of the type of an element.
template <class F> static void by_element(int element, F&& body) {
  switch (element) {
    case BFLOAT16: return body(BFloat16());
    case FLOAT16: return body(Float16());
    default: return body(0.0f);
  }
}

// The place of a format, or -1.
EXPORT int hearth_format(const char* name) {
  for (int i = 0; i < (int)(sizeof FORMATS / sizeof FORMATS[0]); i++)
    if (!std::strcmp(FORMATS[i].name, name)) return i;
  return -1;
}

// Calls have a structure each, so that a step can be a list of them: every function takes one, and
// how many threads may take part.

// out [tokens, rows] = norm(x) [tokens, columns] times the weight, plus bias and residual; with an
// activation (else -1) the first half of the rows are gates, and out has half as many. `exact`
// writes float32.
struct ProductCall {
  const Weight* weight;
  const void *x, *norm, *residual;
  void* out;
  i64 x_stride;
  int32_t element, exact, tokens, activation, expert;
  float epsilon, offset;
};
EXPORT void hearth_product(const ProductCall* c, int threads) {
  Norm norm{c->norm, c->epsilon, c->offset};
  by_element(c->element, [&](auto zero) {
    typedef decltype(zero) E;
    const E *x = (const E*)c->x, *residual = (const E*)c->residual;
    if (c->exact) product<E, float>(*c->weight, x, c->x_stride, norm, residual, (float*)c->out, c->tokens, c->activation, c->expert, threads);
    else product<E, E>(*c->weight, x, c->x_stride, norm, residual, (E*)c->out, c->tokens, c->activation, c->expert, threads);
  });
}

// As hearth_product of a weight in blocks, for many rows of x: the product alone.
EXPORT void hearth_many(const ProductCall* c, int threads) {
  const Weight* w = c->weight;
  const void* x = c->x;
  void* out = c->out;
  const int tokens = c->tokens, expert = c->expert;
  const i64 x_stride = c->x_stride;
  by_element(c->element, [&](auto zero) {
    typedef decltype(zero) E;
    static thread_local Integers held;
    Integers& ints = held;
    ints.resize(tokens, w->columns);
    parallel(threads, (tokens + 7) / 8, [&](i64 k) {
      static thread_local std::vector<float> row;
      row.resize(w->columns);
      for (int t = (int)k * 8; t < std::min<i64>(tokens, k * 8 + 8); t++) {
        normed((const E*)x + t * x_stride, w->columns, Norm{nullptr, 0, 0}, row.data());
        integers_of_row(row.data(), ints, t);
      }
    });
    i64 pieces[4] = {0, 0, 0, 0};
    for (int i = 0; i < w->parts; i++) pieces[i + 1] = pieces[i] + (w->part[i].rows + PANEL - 1) / PANEL;
    parallel(threads, pieces[w->parts], [&](i64 k) {
      static thread_local std::vector<float> total;
      int i = 0;
      while (k >= pieces[i + 1]) i++;
      const Part& p = w->part[i];
      const i64 begin = (k - pieces[i]) * PANEL;
      const int rows = (int)std::min<i64>(PANEL, p.rows - begin);
      total.assign((size_t)tokens * PANEL, 0.0f);
      FORMATS[p.format].many(p, (i64)expert * p.rows + begin, rows, ints, tokens, total.data());
      for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++) {
          put((E*)out + (i64)t * w->rows + p.begin + begin + r, total[(size_t)t * PANEL + r]);
        }
    });
  });
}

// Rows [first, first + rows) of the first part of a weight in blocks, or those of `ids`.
struct ValuesCall {
  const Weight* weight;
  const i64* ids;
  void* out;
  i64 first, rows;
  int32_t element, unused;
};
EXPORT void hearth_values(const ValuesCall* c, int threads) {
  const Part* p = c->weight->part;
  const int columns = c->weight->columns, groups = columns / GROUP;
  const i64 first = c->first, rows = c->rows, *ids = c->ids;
  void* out = c->out;
  Values values = FORMATS[p->format].values;
  by_element(c->element, [&](auto zero) {
    typedef decltype(zero) E;
    parallel(threads, (rows + 15) / 16, [&](i64 k) {
      static thread_local std::vector<float> row;
      row.resize(columns);
      for (i64 r = k * 16; r < std::min(rows, k * 16 + 16); r++) {
        values(*p, ids ? ids[r] : first + r, groups, row.data());
        for (int i = 0; i < columns; i += 8) store8((E*)out + r * columns + i, load8(row.data() + i));
      }
    });
  });
}

// ------------------------------------------------------------------------------ by itself

// The norm of each row of x [outer, inner, columns] plus residual [rows, columns].
struct NormCall {
  const void *x, *weight, *residual;
  void* out;
  i64 rows, inner, outer_stride, inner_stride;
  int32_t element, columns;
  float epsilon, offset;
};
EXPORT void hearth_norm(const NormCall* c, int threads) {
  const i64 rows = c->rows, inner = c->inner, outer_stride = c->outer_stride, inner_stride = c->inner_stride;
  const int columns = c->columns;
  const void *x = c->x, *residual = c->residual;
  void* out = c->out;
  const Norm norm{c->weight, c->epsilon, c->offset};
  const i64 each = std::max<i64>(1, 16384 / columns);
  by_element(c->element, [&](auto zero) {
    typedef decltype(zero) E;
    parallel(threads, (rows + each - 1) / each, [&](i64 k) {
      static thread_local std::vector<float> row;
      row.resize(columns);
      for (i64 r = k * each; r < std::min(rows, (k + 1) * each); r++) {
        normed((const E*)x + r / inner * outer_stride + r % inner * inner_stride, columns, norm, row.data());
        for (int i = 0; i < columns; i += 8) {
          F8 v = load8(row.data() + i);
          if (residual) v = v + load8((const E*)residual + r * columns + i);
          store8((E*)out + r * columns + i, v);
        }
      }
    });
  });
}

// activation(gate) times up of both [rows, 2 x size].
struct GatedCall {
  const void* both;
  void* out;
  i64 rows;
  int32_t element, size, activation, unused;
};
EXPORT void hearth_gated(const GatedCall* c, int threads) {
  const int size = c->size;
  by_element(c->element, [&](auto zero) {
    typedef decltype(zero) E;
    parallel(threads, c->rows, [&](i64 r) {
      const E* gate = (const E*)c->both + r * 2 * size;
      for (int i = 0; i < size; i += 8)
        store8((E*)c->out + r * size + i, activated(load8(gate + i), c->activation) * load8(gate + size + i));
    });
  });
}

// Head `x` in float32 after its norm and the rotation of its first 2 x half dimensions in halves.
template <class E> INLINE void prepared(const E* x, int size, const Norm& norm, const E* cosine, const E* sine, int half, float* out) {
  normed(x, size, norm, out);
  for (int i = 0; i < half; i++) {
    float a = out[i], b = out[half + i];
    out[i] = madd(b, -to_float(sine[i]), a * to_float(cosine[i]));
    out[half + i] = madd(a, to_float(sine[half + i]), b * to_float(cosine[half + i]));
  }
}

// Rotates heads [tokens, heads, size] by strides into out, which has them one behind another.
struct RopeCall {
  const void *x, *cosine, *sine;  // angles [tokens, 2 x half]
  void* out;
  i64 tokens, token_stride, head_stride, angle_stride;
  int32_t element, heads, size, half;
};
EXPORT void hearth_rope(const RopeCall* c, int threads) {
  by_element(c->element, [&](auto zero) {
    typedef decltype(zero) E;
    parallel(threads, (c->tokens + 7) / 8, [&](i64 k) {
      static thread_local std::vector<float> head;
      head.resize(c->size);
      for (i64 t = k * 8; t < std::min(c->tokens, k * 8 + 8); t++)
        for (int h = 0; h < c->heads; h++) {
          const E* x = (const E*)c->x + t * c->token_stride + h * c->head_stride;
          const i64 angle = t * c->angle_stride;
          prepared(x, c->size, Norm{nullptr, 0, 0}, (const E*)c->cosine + angle, (const E*)c->sine + angle, c->half, head.data());
          for (int i = 0; i < c->size; i += 8) store8((E*)c->out + (t * c->heads + h) * c->size + i, load8(head.data() + i));
        }
    });
  });
}

// ------------------------------------------------------------------------------ attention

struct Attention {
  const void *query, *key, *value;      // [heads, size], [KV heads, size], [KV heads, value size]; the
                                        // last two null if they are in the buffers
  void *keys, *values;                  // [positions, KV heads, size]
  const void *query_norm, *key_norm;    // [size] or null
  const void *cosine, *sine;            // [2 x half]
  const void* sinks;                    // [heads] or null
  void* out;                            // [heads, value size]
  i64 start;                            // positions that are held
  int32_t element, heads, kv_heads, size, value_size, half, window, unused;
  float scale, softcap, epsilon, offset;
};

const int SPLIT = 256;  // positions that a thread attends to at a time
const int TOGETHER = 4;  // query heads that share a read of keys and values

// Scores of H heads with one key, then their weights with the values of 8 dimensions.
template <class E, int H> static void attend_split(const Attention& a, const float* query, int kv, i64 begin, i64 end, float* out) {
  const i64 key_stride = (i64)a.kv_heads * a.size, value_stride = (i64)a.kv_heads * a.value_size;
  const E* keys = (const E*)a.keys + kv * a.size;
  const E* values = (const E*)a.values + kv * a.value_size;
  float weights[H][SPLIT];
  int count = (int)(end - begin);
  for (int p = 0; p < count; p++) {
    F8 dots[H];
    UNROLL for (int h = 0; h < H; h++) dots[h] = all(0.0f);
    const E* key = keys + (begin + p) * key_stride;
    for (int d = 0; d < a.size; d += 8) {
      F8 k = load8(key + d);
      UNROLL for (int h = 0; h < H; h++) dots[h] = madd(k, load8(query + h * a.size + d), dots[h]);
    }
    UNROLL for (int h = 0; h < H; h++) weights[h][p] = sum(dots[h]);
  }
  for (int h = 0; h < H; h++) {
    if (a.softcap != 0.0f)
      for (int p = 0; p < count; p++) weights[h][p] = a.softcap * std::tanh(weights[h][p] / a.softcap);
    float highest = *std::max_element(weights[h], weights[h] + count);
    for (int p = count; p < (count + 7) / 8 * 8; p++) weights[h][p] = -std::numeric_limits<float>::infinity();
    F8 total = all(0.0f);
    for (int p = 0; p < count; p += 8) {
      F8 w = load8(weights[h] + p);
      w = exponential(w - all(highest));
      store8(weights[h] + p, w);
      for (int q = count - p; q < 8; q++) weights[h][p + q] = 0.0f;
      total = total + load8(weights[h] + p);
    }
    float* to = out + (i64)h * (a.value_size + 2);
    to[0] = highest;
    to[1] = sum(total);
  }
  for (int d = 0; d < a.value_size; d += 8) {
    F8 found[H];
    UNROLL for (int h = 0; h < H; h++) found[h] = all(0.0f);
    for (int p = 0; p < count; p++) {
      F8 v = load8(values + (begin + p) * value_stride + d);
      UNROLL for (int h = 0; h < H; h++) found[h] = madd(v, all(weights[h][p]), found[h]);
    }
    UNROLL for (int h = 0; h < H; h++) store8(out + (i64)h * (a.value_size + 2) + 2 + d, found[h]);
  }
}

template <class E> static void attend(const Attention& a, int threads) {
  static thread_local std::vector<float> query, key, parts;
  query.resize((size_t)a.heads * a.size);
  key.resize(a.size);
  const E *cosine = (const E*)a.cosine, *sine = (const E*)a.sine;
  for (int h = 0; h < a.heads; h++) {
    float* q = query.data() + (size_t)h * a.size;
    prepared((const E*)a.query + (i64)h * a.size, a.size, Norm{a.query_norm, a.epsilon, a.offset}, cosine, sine, a.half, q);
    for (int d = 0; d < a.size; d += 8) store8(q + d, load8(q + d) * all(a.scale));
  }
  for (int h = 0; a.key && h < a.kv_heads; h++) {
    prepared((const E*)a.key + (i64)h * a.size, a.size, Norm{a.key_norm, a.epsilon, a.offset}, cosine, sine, a.half, key.data());
    E* to = (E*)a.keys + (a.start * a.kv_heads + h) * a.size;
    for (int d = 0; d < a.size; d += 8) store8(to + d, load8(key.data() + d));
  }
  if (a.value) std::memcpy((E*)a.values + a.start * a.kv_heads * a.value_size, a.value, sizeof(E) * a.kv_heads * a.value_size);

  const i64 end = a.start + 1, first = a.window ? std::max<i64>(0, end - a.window) : 0;
  const i64 splits = (end - first + SPLIT - 1) / SPLIT;
  const int group = a.heads / a.kv_heads, bundles = (group + TOGETHER - 1) / TOGETHER, each = a.value_size + 2;
  parts.resize((size_t)splits * a.heads * each);
  float *of_query = query.data(), *of_parts = parts.data();
  parallel(threads, splits * a.kv_heads * bundles, [&](i64 k) {
    const i64 split = k / (a.kv_heads * bundles);
    const int kv = (int)(k / bundles % a.kv_heads), head = kv * group + (int)(k % bundles) * TOGETHER;
    const i64 begin = first + split * SPLIT, stop = std::min(end, begin + SPLIT);
    const float* q = of_query + (size_t)head * a.size;
    float* out = of_parts + (size_t)(split * a.heads + head) * each;
    switch (std::min(TOGETHER, (kv + 1) * group - head)) {
      case 1: attend_split<E, 1>(a, q, kv, begin, stop, out); break;
      case 2: attend_split<E, 2>(a, q, kv, begin, stop, out); break;
      case 3: attend_split<E, 3>(a, q, kv, begin, stop, out); break;
      default: attend_split<E, 4>(a, q, kv, begin, stop, out);
    }
  });
  for (int h = 0; h < a.heads; h++) {
    float highest = a.sinks ? to_float(((const E*)a.sinks)[h]) : -std::numeric_limits<float>::infinity();
    float sink = highest;
    for (i64 s = 0; s < splits; s++) highest = std::max(highest, of_parts[(s * a.heads + h) * each]);
    float total = a.sinks ? std::exp(sink - highest) : 0.0f;
    for (i64 s = 0; s < splits; s++) {
      float* part = of_parts + (s * a.heads + h) * each;
      part[0] = std::exp(part[0] - highest);
      total += part[0] * part[1];
    }
    for (int d = 0; d < a.value_size; d += 8) {
      F8 found = all(0.0f);
      for (i64 s = 0; s < splits; s++) {
        const float* part = of_parts + (s * a.heads + h) * each;
        found = madd(load8(part + 2 + d), all(part[0]), found);
      }
      store8((E*)a.out + (i64)h * a.value_size + d, found * all(1.0f / total));
    }
  }
}

// Appends one token's key and value and attends to all that is held: query and key are normed and
// rotated first, if their norms and angles are given.
EXPORT void hearth_attend(const Attention* a, int threads) {
  by_element(a->element, [&](auto zero) { attend<decltype(zero)>(*a, threads); });
}

// ------------------------------------------------------------------------------ steps

struct Call {
  void (*function)(const void*, int);
  const void* of;
};

// One call after another.
EXPORT void hearth_run(const Call* calls, int count, int threads) {
  for (int i = 0; i < count; i++) calls[i].function(calls[i].of, threads);
}
