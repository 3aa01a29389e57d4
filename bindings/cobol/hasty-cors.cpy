      *> Which other origins' scripts may read answers.
      *>   COPY "hasty-cors.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-size
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-origins
               USAGE POINTER VALUE NULL.
           05 :TAG:-methods
               USAGE POINTER VALUE NULL.
           05 :TAG:-headers
               USAGE POINTER VALUE NULL.
           05 :TAG:-expose
               USAGE POINTER VALUE NULL.
           05 :TAG:-max-age-s
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-credentials
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-private-network
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-reserved
               USAGE BINARY-LONG UNSIGNED VALUE 0.
