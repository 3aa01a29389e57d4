      *> A request and its answer at a fixed address, for
      *> languages in which every call is expensive.
      *>   COPY "hasty-slot.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-size
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-app
               USAGE POINTER VALUE NULL.
           05 :TAG:-ticket
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-route
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-method
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-user-data
               USAGE POINTER VALUE NULL.
           05 :TAG:-request
               USAGE POINTER VALUE NULL.
           05 :TAG:-method-text
               USAGE POINTER VALUE NULL.
           05 :TAG:-path
               USAGE POINTER VALUE NULL.
           05 :TAG:-query
               USAGE POINTER VALUE NULL.
           05 :TAG:-params
               USAGE POINTER VALUE NULL.
           05 :TAG:-header-names
               USAGE POINTER VALUE NULL.
           05 :TAG:-header-values
               USAGE POINTER VALUE NULL.
           05 :TAG:-path-len
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-query-len
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-params-len
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-header-count
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-body
               USAGE POINTER VALUE NULL.
           05 :TAG:-body-len
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-status
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-kind
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-content-type
               USAGE POINTER VALUE NULL.
           05 :TAG:-extra-headers
               USAGE POINTER VALUE NULL.
           05 :TAG:-extra-headers-len
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-reply
               USAGE POINTER VALUE NULL.
           05 :TAG:-reply-len
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
