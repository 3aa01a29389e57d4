      *> How a cookie is set.
      *>   COPY "hasty-cookie.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-size
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-path
               USAGE POINTER VALUE NULL.
           05 :TAG:-domain
               USAGE POINTER VALUE NULL.
           05 :TAG:-same-site
               USAGE POINTER VALUE NULL.
           05 :TAG:-max-age-s
               USAGE BINARY-DOUBLE VALUE 0.
           05 :TAG:-secure
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-script-visible
               USAGE BINARY-LONG VALUE 0.
