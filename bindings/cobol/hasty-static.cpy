      *> How a folder of files is served.
      *>   COPY "hasty-static.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-size
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-index
               USAGE POINTER VALUE NULL.
           05 :TAG:-fallback
               USAGE POINTER VALUE NULL.
           05 :TAG:-cache-control
               USAGE POINTER VALUE NULL.
           05 :TAG:-list
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-dotfiles
               USAGE BINARY-LONG VALUE 0.
